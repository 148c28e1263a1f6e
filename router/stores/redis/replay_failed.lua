-- Failed entries wait again in their old order, their attempts forgotten.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  msgpack [now, id, id, ...]; no id: all
-- returns  msgpack: how many
--
-- Idempotent by the receipt.

local again = answered()
if again then
  return again
end
local order = cmsgpack.unpack(ARGV[3])
local now, ids = order[1], {}
for at = 2, #order do
  ids[#ids + 1] = order[at]
end
if #ids == 0 then
  ids = call('ZRANGE', base .. 'failed', 0, -1)
end
local replayed = 0
for _, id in ipairs(ids) do
  local item = item_of(id)
  if item and item[STATE] == FAILED then
    zrem('failed', id)
    item[ATTEMPTS], item[UNTIL], item[ENDED], item[EXPIRES], item[ERROR] = 0, 0, 0, 0, ''
    item[AVAILABLE] = now
    wait(id, item, now, now)
    keep(id, item)
    replayed = replayed + 1
  end
end
flush()
return answer(replayed)
