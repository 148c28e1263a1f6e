-- What the scripts of a named queue share; put in front of each by scripts.py.
--
-- Keys, all of one slot, `{PREFIX:q:QUEUE}:` before each:
--   meta     hash    number, token (last ones given), waiting, delayed, claimed, completed, failed, paused;
--                    listed: its name is on the list of all queues; used: when something came, or came to an end
--   items    hash    id -> msgpack of the entry: its fields in the order below
--   frames   hash    id -> the frame, while it may be asked for
--   ready    zset    id by (15 - priority) * 2^49 + number: waiting, or its claim has lapsed
--   ages     zset    id by the time it was appended: waiting
--   delayed  zset    id by the time it is available
--   claimed  zset    id by the end of the claim
--   expiring zset    id by expires_at: waiting, delayed, or its claim has lapsed
--   done     zset    id by token, those that are kept
--   failed   zset    id by token
--
-- What a script changes is gathered here and written by flush(), in a few calls however many entries it is about: it
-- stands before the end, and wherever a sorted set is read that may have been changed.

local NUMBER, PRIORITY, AVAILABLE, EXPIRES, APPENDED, STATE, ATTEMPTS, TOKEN, UNTIL, ERROR, ENDED, HOLDER, TYPE = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
local WAITING, DELAYED, CLAIMED, DONE, FAILED = 0, 1, 2, 3, 4

local hashes, zsets, totals, series = {}, {}, {}, {}
local used -- now, if that is to be remembered
local WIDE = 1000 -- arguments of one call; what unpack can bear is bounded

local function note(of, name, id, value)
  local changes = of[name]
  if not changes then
    changes = {}
    of[name] = changes
  end
  changes[id] = value
end

local function hset(name, id, value)
  note(hashes, name, id, value)
end

local function hdel(name, id)
  note(hashes, name, id, false)
end

local function zadd(name, score, id)
  note(zsets, name, id, score)
end

local function zrem(name, id)
  note(zsets, name, id, false)
end

local function write(command, name, arguments)
  for first = 1, #arguments, WIDE do
    call(command, base .. name, unpack(arguments, first, math.min(first + WIDE - 1, #arguments)))
  end
end

local function flush()
  for name, changes in pairs(hashes) do
    local set, gone = {}, {}
    for id, value in pairs(changes) do
      if value then
        set[#set + 1] = id
        set[#set + 1] = type(value) == 'table' and cmsgpack.pack(value) or value
      else
        gone[#gone + 1] = id
      end
    end
    write('HSET', name, set)
    write('HDEL', name, gone)
  end
  for name, changes in pairs(zsets) do
    local set, gone = {}, {}
    for id, score in pairs(changes) do
      if score then
        set[#set + 1] = score
        set[#set + 1] = id
      else
        gone[#gone + 1] = id
      end
    end
    write('ZADD', name, set)
    write('ZREM', name, gone)
  end
  for what, by in pairs(totals) do
    call('HINCRBY', KEYS[1], what, by)
  end
  for what, number in pairs(series) do
    call('HSET', KEYS[1], what, number)
  end
  if used then
    call('HSET', KEYS[1], 'used', used)
  end
  hashes, zsets, totals, series, used = {}, {}, {}, {}, nil
end

local function count(what, by)
  totals[what] = (totals[what] or 0) + by
end

-- The next number of a series.
local function following(what)
  series[what] = (series[what] or tonumber(call('HGET', KEYS[1], what) or 0)) + 1
  return series[what]
end

-- Values of a hash by their ids, in one call for many; false for what is not there.
local function values_of(name, ids)
  local values = {}
  for first = 1, #ids, WIDE do
    for at, value in ipairs(call('HMGET', base .. name, unpack(ids, first, math.min(first + WIDE - 1, #ids)))) do
      values[first + at - 1] = value
    end
  end
  return values
end

local items = {} -- as they will be when all is written; false: not there

local function fetch(ids)
  for at, found in ipairs(values_of('items', ids)) do
    items[ids[at]] = found and cmsgpack.unpack(found)
  end
end

local function item_of(id)
  if items[id] == nil then
    fetch({id})
  end
  return items[id]
end

local function keep(id, item)
  items[id] = item
  hset('items', id, item)
end

local function rank(item)
  return (15 - math.max(0, math.min(15, item[PRIORITY]))) * 562949953421312 + item[NUMBER]
end

-- Waits, now or from ``available_at`` on; keep(id, item) is left to the caller.
local function wait(id, item, available_at, now)
  used = now
  if available_at > now then
    item[STATE] = DELAYED
    zadd('delayed', available_at, id)
    count('delayed', 1)
  else
    item[STATE] = WAITING
    zadd('ready', rank(item), id)
    zadd('ages', item[APPENDED], id)
    count('waiting', 1)
  end
  if item[EXPIRES] ~= 0 then
    zadd('expiring', item[EXPIRES], id)
  end
end

-- Out of where it stands, with its count.
local function take(id, item)
  if item[STATE] == WAITING then
    zrem('ready', id)
    zrem('ages', id)
    count('waiting', -1)
  elseif item[STATE] == DELAYED then
    zrem('delayed', id)
    count('delayed', -1)
  elseif item[STATE] == CLAIMED then
    zrem('claimed', id)
    zrem('ready', id) -- when the claim had lapsed
    count('claimed', -1)
  end
  if item[EXPIRES] ~= 0 then
    zrem('expiring', id)
  end
end

local function drop(id)
  items[id] = false
  hdel('items', id)
  hdel('frames', id)
end

local function fail(id, item, why, now)
  take(id, item)
  used = now
  count('failed', 1)
  item[STATE], item[ERROR], item[ENDED] = FAILED, why, now
  zadd('failed', following('token'), id)
  keep(id, item)
end

local function complete(id, item, now)
  take(id, item)
  used = now
  count('completed', 1)
  item[STATE], item[ENDED] = DONE, now
  zadd('done', following('token'), id)
  hdel('frames', id)
  keep(id, item)
end

-- The newest ``most`` stay. Writes what was gathered.
local function trim(name, most)
  flush()
  local over = call('ZCARD', base .. name) - most
  if over > 0 then
    local gone = call('ZRANGE', base .. name, 0, over - 1)
    write('ZREM', name, gone)
    write('HDEL', 'items', gone)
    write('HDEL', 'frames', gone)
  end
end
