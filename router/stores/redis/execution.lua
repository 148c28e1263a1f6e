-- Executions and outcomes of a named queue, for the scripts that touch them; stands between item.lua and them.
--
--   executions     hash  envelope -> msgpack [entry, token, attempt, worker, begun_at, ended_at, outcome, owner]
--   words          zset  envelope by the time it was heard of last
--   answers:ASKER  hash  entry -> msgpack [envelope, outcome, at]
--   order:ASKER    zset  entry in the order the outcomes came
--   lying          zset  length of ASKER, a colon, ASKER, entry; by the time the outcome came

local function execution_of(id)
  local found = call('HGET', base .. 'executions', id)
  return found and cmsgpack.unpack(found)
end

local function put_execution(id, execution, now)
  call('HSET', base .. 'executions', id, cmsgpack.pack(execution))
  call('ZADD', base .. 'words', now, id)
end

local function drop_execution(id)
  call('HDEL', base .. 'executions', id)
  call('ZREM', base .. 'words', id)
end

local function drop_answer(asker, entry)
  call('ZREM', base .. 'order:' .. asker, entry)
  call('ZREM', base .. 'lying', #asker .. ':' .. asker .. entry)
  return call('HDEL', base .. 'answers:' .. asker, entry)
end
