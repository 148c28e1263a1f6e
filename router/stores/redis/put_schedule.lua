-- Make a schedule, or replace the one of its id.
--
-- KEYS[1]  {PREFIX:schedules}:meta
-- ARGV[3]  msgpack [id, frame, rule, next, paused, now]
-- returns  msgpack of a boolean: false: it is there just so
--
-- Idempotent by the receipt.

local again = answered()
if again then
  return again
end
local order = cmsgpack.unpack(ARGV[3])
local id, frame, rule = order[1], order[2], order[3]
local known = schedule_of(id)
if known then
  if known[RULE] == rule and call('HGET', base .. 'frames', id) == frame then
    return answer(false)
  end
  known[RULE], known[NEXT] = rule, order[4]
else
  known = {rule, order[4], order[5], order[6], 0, 0, 0, {}}
end
call('HSET', base .. 'frames', id, frame)
keep(id, known)
return answer(true)
