-- What the scripts of a named queue share; put in front of each by scripts.py.
--
-- Keys, all of one slot, `{PREFIX:q:QUEUE}:` before each:
--   meta     hash    number, token (last ones given), waiting, delayed, claimed, completed, failed, paused
--   items    hash    id -> msgpack of the entry: its fields in the order below
--   frames   hash    id -> the frame, while it may be asked for
--   ready    zset    id by (15 - priority) * 2^49 + number: waiting, or its claim has lapsed
--   ages     zset    id by the time it was appended: waiting
--   delayed  zset    id by the time it is available
--   claimed  zset    id by the end of the claim
--   expiring zset    id by expires_at: waiting, delayed, or its claim has lapsed
--   done     zset    id by token, those that are kept
--   failed   zset    id by token

local NUMBER, PRIORITY, AVAILABLE, EXPIRES, APPENDED, STATE, ATTEMPTS, TOKEN, UNTIL, ERROR, ENDED, HOLDER = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
local WAITING, DELAYED, CLAIMED, DONE, FAILED = 0, 1, 2, 3, 4

local function item_of(id)
  local found = call('HGET', base .. 'items', id)
  return found and cmsgpack.unpack(found)
end

local function keep(id, item)
  call('HSET', base .. 'items', id, cmsgpack.pack(item))
end

local function count(what, by)
  return call('HINCRBY', base .. 'meta', what, by)
end

local function rank(item)
  return (15 - math.max(0, math.min(15, item[PRIORITY]))) * 562949953421312 + item[NUMBER]
end

-- Waits, now or from ``available_at`` on; keep(id, item) is left to the caller.
local function wait(id, item, available_at, now)
  if available_at > now then
    item[STATE] = DELAYED
    call('ZADD', base .. 'delayed', available_at, id)
    count('delayed', 1)
  else
    item[STATE] = WAITING
    call('ZADD', base .. 'ready', rank(item), id)
    call('ZADD', base .. 'ages', item[APPENDED], id)
    count('waiting', 1)
  end
  if item[EXPIRES] ~= 0 then
    call('ZADD', base .. 'expiring', item[EXPIRES], id)
  end
end

-- Out of where it stands, with its count.
local function take(id, item)
  if item[STATE] == WAITING then
    call('ZREM', base .. 'ready', id)
    call('ZREM', base .. 'ages', id)
    count('waiting', -1)
  elseif item[STATE] == DELAYED then
    call('ZREM', base .. 'delayed', id)
    count('delayed', -1)
  elseif item[STATE] == CLAIMED then
    call('ZREM', base .. 'claimed', id)
    call('ZREM', base .. 'ready', id) -- when the claim had lapsed
    count('claimed', -1)
  end
  if item[EXPIRES] ~= 0 then
    call('ZREM', base .. 'expiring', id)
  end
end

local function drop(id)
  call('HDEL', base .. 'items', id)
  call('HDEL', base .. 'frames', id)
end

local function fail(id, item, why, now)
  take(id, item)
  count('failed', 1)
  item[STATE], item[ERROR], item[ENDED] = FAILED, why, now
  call('ZADD', base .. 'failed', count('token', 1), id)
  keep(id, item)
end

local function trim(name, most)
  local over = call('ZCARD', base .. name) - most
  if over > 0 then
    for _, id in ipairs(call('ZRANGE', base .. name, 0, over - 1)) do
      call('ZREM', base .. name, id)
      drop(id)
    end
  end
end

local function complete(id, item, now, most)
  take(id, item)
  count('completed', 1)
  item[STATE], item[ENDED] = DONE, now
  call('ZADD', base .. 'done', count('token', 1), id)
  call('HDEL', base .. 'frames', id)
  keep(id, item)
  trim('done', most)
end
