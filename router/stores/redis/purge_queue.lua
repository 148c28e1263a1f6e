-- Remove waiting and delayed entries, some at a time.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  how many at most
-- returns  msgpack: how many
--
-- Idempotent by the receipt.

local again = answered()
if again then
  return again
end
local limit, removed = tonumber(ARGV[3]), 0
for _, name in ipairs({'ages', 'delayed'}) do
  if removed < limit then
    for _, id in ipairs(call('ZRANGE', base .. name, 0, limit - removed - 1)) do
      take(id, item_of(id))
      drop(id)
      removed = removed + 1
    end
  end
end
flush()
return answer(removed)
