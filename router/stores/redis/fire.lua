-- An open tick is dealt with: the next one is open.
--
-- KEYS[1]  {PREFIX:schedules}:meta
-- ARGV[3]  msgpack [id, tick, next, command, how many commands are remembered, now]
-- returns  msgpack of a boolean: false: the tick was not open
--
-- Idempotent by the receipt. The rule is that of actors/schedules.py, Fire.

local again = answered()
if again then
  return again
end
local order = cmsgpack.unpack(ARGV[3])
local known = schedule_of(order[1])
if not known or known[PAUSED] == 1 or known[NEXT] ~= order[2] then
  return answer(false)
end
known[NEXT] = order[3]
if order[4] ~= '' then
  known[LAST], known[FIRED] = order[6], known[FIRED] + 1
  local recent = known[RECENT]
  recent[#recent + 1] = order[4]
  while #recent > order[5] do
    table.remove(recent, 1)
  end
else
  known[PASSED] = known[PASSED] + 1
end
keep(order[1], known)
return answer(true)
