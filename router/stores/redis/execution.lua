-- Executions and outcomes of a named queue, for the scripts that touch them; stands between item.lua and them.
--
--   executions     hash  envelope -> msgpack [entry, token, attempt, worker, begun_at, ended_at, outcome, owner]
--   words          zset  envelope by the time it was heard of last
--   answers:ASKER  hash  entry -> msgpack [envelope, outcome, at]
--   order:ASKER    zset  entry in the order the outcomes came
--   lying          zset  length of ASKER, a colon, ASKER, entry; by the time the outcome came

local executions = {} -- as they will be when all is written; false: not there

local function fetch_executions(ids)
  for at, found in ipairs(values_of('executions', ids)) do
    executions[ids[at]] = found and cmsgpack.unpack(found)
  end
end

local function execution_of(id)
  if executions[id] == nil then
    fetch_executions({id})
  end
  return executions[id]
end

local function put_execution(id, execution, now)
  executions[id] = execution
  hset('executions', id, execution)
  zadd('words', now, id)
end

local function drop_execution(id)
  executions[id] = false
  hdel('executions', id)
  zrem('words', id)
end

local function lying_as(asker, entry)
  return #asker .. ':' .. asker .. entry
end

local function drop_answer(asker, entry)
  zrem('order:' .. asker, entry)
  zrem('lying', lying_as(asker, entry))
  hdel('answers:' .. asker, entry)
end
