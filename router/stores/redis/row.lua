-- What the scripts of a partition share; put in front of each by scripts.py, which also makes NOTHING and WELL.
--
-- Keys, all of one slot, `{PREFIX:pN}:` before each:
--   meta     hash    epoch, number (last position or ordinal), line (last line of the trail); router, token, until
--   rows     hash    id -> msgpack of the row: its fields in the order below
--   frames   hash    id -> the frame
--   keys     hash    operation key -> id of the row that holds it
--   guilds   hash    guild -> msgpack [last sequence, how many hold a position]
--   counts   hash    queue -> msgpack [pending, processing, completed, failed, dead]
--   opposers hash    type -> msgpack of the types that oppose it
--   placed   zset    id by position: unsettled, in its lane
--   delayed  zset    id by due time: unsettled, not in its lane yet
--   lanes    zset    score 0, member L(guild) L(subject) L(type) flag hex(ordinal) id, where L(x) is its length, a colon
--                    and x; flag 1: unsettled; flag 0: settled and holding its key, not an idempotency key
--   waiting  zset    score 0, member L(queue) hex(accepted_at): times that unsettled ones date from that have not started
--   since    hash    the same -> how many
--   ended    zset    hex(line) id by the time of the end: the trail
--   past     zset    the same: past retention, but within its window
--   pinned   zset    the same, by the end of the window
--   former   hash    hex(line) -> msgpack [answer, trail, at] of an end that was followed by a replay
--   dead     zset    id by position: dead letters
--   deaths   zset    id by line: dead letters in the order they died
--   notes    zset    hex(line) digest by time
--   texts    hash    digest -> msgpack [at, kind, id, guild, user, detail]
--   noteof   zset    score 0, member L(id) hex(line) digest: notes that speak of an envelope; without digest: its
--                    former ends
--   receipt:ROUTER   string, 60 s: nonce and results of a batch that cannot be repeated by itself

local GUILD, SUBJECT, USER, TYPE, QUEUE, KEY, PRINT, IDEMPOTENCY, WINDOW, ORDINAL = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local SEQUENCE, FIRST, AHEAD, ACCEPTED, EXPIRES, POSITION, UNTIL, ATTEMPTS, PROTOCOL = 11, 12, 13, 14, 15, 16, 17, 18, 19
local TRAIL, REPLAYS, STATUS, ANSWER, SETTLED, REASON, DEAD, ENDING, OPPOSED, ARCHIVED = 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
local WATCHERS = 30

local CHUNK = 4000 -- arguments of one call: Lua's stack holds 8,000

local base = string.sub(KEYS[1], 1, -5)
local call = redis.call

local function hex(number)
  return string.format('%014x', number)
end

-- Numbers given to a call are formatted as floats, which is slow: scores are given as text.
local function whole(number)
  return string.format('%d', number)
end

local leds = {} -- of texts seen
local function led(text)
  local found = leds[text]
  if not found then
    found = #text .. ':' .. text
    leds[text] = found
  end
  return found
end

local function in_lane(id, row, flag)
  return led(row[GUILD]) .. led(row[SUBJECT]) .. led(row[TYPE]) .. flag .. hex(row[ORDINAL]) .. id
end

-- Fields of a hash into a table: the value, or false.
local function fetch(key, fields, into)
  for at = 1, #fields, CHUNK do
    local last = math.min(at + CHUNK - 1, #fields)
    local found = call('HMGET', key, unpack(fields, at, last))
    for number = at, last do
      into[fields[number]] = found[number - at + 1]
    end
  end
end

-- A call with many arguments, in pieces that keep pairs together.
local function send(command, key, arguments)
  for at = 1, #arguments, CHUNK do
    call(command, key, unpack(arguments, at, math.min(at + CHUNK - 1, #arguments)))
  end
end
