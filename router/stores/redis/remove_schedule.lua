-- Forget a schedule.
--
-- KEYS[1]  {PREFIX:schedules}:meta
-- ARGV[3]  its id
-- returns  msgpack of a boolean: false: there is none
--
-- Idempotent by the receipt.

local again = answered()
if again then
  return again
end
local id = ARGV[3]
for _, name in ipairs({'frames', 'claimed'}) do
  call('HDEL', base .. name, id)
end
call('ZREM', base .. 'due', id)
return answer(call('HDEL', base .. 'all', id) == 1)
