-- What the scripts of schedules share; put in front of each by scripts.py.
--
-- Keys, all of one slot, `{PREFIX:schedules}:` before each:
--   meta     hash    nothing yet; names the rest
--   all      hash    id -> msgpack of the schedule: its fields in the order below
--   frames   hash    id -> the command's frame
--   due      zset    id by its open tick: neither paused nor over
--   claimed  hash    id -> msgpack [router, until], of the one that deals with its open tick

local RULE, NEXT, PAUSED, MADE, LAST, FIRED, PASSED, RECENT = 1, 2, 3, 4, 5, 6, 7, 8

local function schedule_of(id)
  local found = call('HGET', base .. 'all', id)
  return found and cmsgpack.unpack(found)
end

-- As it stands now; whatever was claimed of it is over.
local function keep(id, schedule)
  call('HSET', base .. 'all', id, cmsgpack.pack(schedule))
  call('HDEL', base .. 'claimed', id)
  if schedule[PAUSED] == 0 and schedule[NEXT] > 0 then
    call('ZADD', base .. 'due', schedule[NEXT], id)
  else
    call('ZREM', base .. 'due', id)
  end
end

local function claim_of(id)
  local found = call('HGET', base .. 'claimed', id)
  if not found then
    return '', 0
  end
  local claim = cmsgpack.unpack(found)
  return claim[1], claim[2]
end
