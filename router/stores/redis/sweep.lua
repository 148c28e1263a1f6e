-- Forget what is past its time in one partition, the oldest first, some at a time.
--
-- KEYS[1]  {PREFIX:pN}:meta
-- ARGV[1]  msgpack [now, router, epoch, token, limit, audit_rows, audit_edge, dead_rows, dead_edge, note_rows]
--            *_rows: so many may stay here; *_edge: what is of this time or older goes
-- returns  how many rows were forgotten or laid aside; -1: the partition is not the router's under this token
-- errors   EMPTIED: the partition is not the one of this epoch; nothing is done
--
-- Idempotent: what is forgotten is not there to be forgotten again.

local order = cmsgpack.unpack(ARGV[1])
local now, router, epoch, token, limit = order[1], order[2], order[3], order[4], order[5]
local audit_rows, audit_edge, dead_rows, dead_edge, note_rows = order[6], order[7], order[8], order[9], order[10]

local meta = call('HMGET', KEYS[1], 'epoch', 'router', 'token')
if meta[1] ~= epoch then
  return redis.error_reply('EMPTIED this partition has another epoch')
end
if token == 0 or meta[2] ~= router or tonumber(meta[3]) ~= token then
  return -1
end

-- Settled within its window, its line waits aside for the end of it.
local function forget_ending(member)
  local number, id = tonumber(string.sub(member, 1, 14), 16), string.sub(member, 15)
  if call('HDEL', base .. 'former', string.sub(member, 1, 14)) == 1 then
    call('ZREM', base .. 'noteof', led(id) .. string.sub(member, 1, 14))
  end
  local row = read_row(id)
  if row and row[ENDING] == number then
    row[ARCHIVED] = 1
    if row[DEAD] == 1 then
      call('HSET', base .. 'rows', id, cmsgpack.pack(row))
    else
      forget(id, row)
    end
  end
end

local swept = 0

for _, member in ipairs(call('ZRANGEBYSCORE', base .. 'pinned', '-inf', now, 'LIMIT', 0, limit)) do
  call('ZREM', base .. 'pinned', member)
  call('ZREM', base .. 'past', member)
  forget_ending(member)
  swept = swept + 1
end

local over = call('ZCARD', base .. 'ended') - audit_rows
local oldest = call('ZRANGE', base .. 'ended', 0, limit - swept - 1, 'WITHSCORES')
if limit > swept then
  for at = 1, #oldest, 2 do
    local member, ended_at = oldest[at], tonumber(oldest[at + 1])
    if (at + 1) / 2 > over and ended_at > audit_edge then
      break
    end
    call('ZREM', base .. 'ended', member)
    local row = read_row(string.sub(member, 15))
    if row and ended_at + row[WINDOW] > now then
      call('ZADD', base .. 'past', ended_at, member)
      call('ZADD', base .. 'pinned', ended_at + row[WINDOW], member)
    else
      forget_ending(member)
    end
    swept = swept + 1
  end
end

over = call('ZCARD', base .. 'notes') - note_rows
if limit > swept then
  local lines = call('ZRANGE', base .. 'notes', 0, limit - swept - 1, 'WITHSCORES')
  for at = 1, #lines, 2 do
    local member = lines[at]
    if (at + 1) / 2 > over and tonumber(lines[at + 1]) > audit_edge then
      break
    end
    local digest = string.sub(member, 15)
    local text = call('HGET', base .. 'texts', digest)
    local id = text and cmsgpack.unpack(text)[3] or ''
    if id ~= '' then
      call('ZREM', base .. 'noteof', led(id) .. member)
    end
    call('HDEL', base .. 'texts', digest)
    call('ZREM', base .. 'notes', member)
    swept = swept + 1
  end
end

over = call('ZCARD', base .. 'dead') - dead_rows
if limit > swept then
  for at, id in ipairs(call('ZRANGE', base .. 'deaths', 0, limit - swept - 1)) do
    local row = read_row(id)
    if at > over and row and row[SETTLED] > dead_edge then
      break
    end
    forget_letter(id, row)
    swept = swept + 1
  end
end
return swept
