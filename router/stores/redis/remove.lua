-- Take back entries that nobody claimed.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  msgpack of the ids
-- returns  msgpack of a boolean for each: true: no consumer will see it
--
-- Idempotent by the receipt.

local again = answered()
if again then
  return again
end
local results = {}
for at, id in ipairs(cmsgpack.unpack(ARGV[3])) do
  local item = item_of(id)
  results[at] = item and (item[STATE] == WAITING or item[STATE] == DELAYED) or false
  if results[at] then
    take(id, item)
    drop(id)
  end
end
flush()
return answer(results)
