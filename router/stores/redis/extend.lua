-- Consumers live and need more time.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  msgpack [until, id, token, id, token, ...]
-- returns  msgpack of a boolean for each: false: the claim was lost
--
-- Idempotent.

local order = cmsgpack.unpack(ARGV[3])
local results = {}
for at = 2, #order, 2 do
  local id = order[at]
  local item = item_of(id)
  local holds = item and item[TOKEN] == order[at + 1] and item[STATE] == CLAIMED
  if holds then
    item[UNTIL] = order[1]
    zrem('ready', id) -- when it had lapsed, as the next one
    zrem('expiring', id)
    zadd('claimed', order[1], id)
    keep(id, item)
  end
  results[#results + 1] = holds and true or false
end
flush()
return cmsgpack.pack(results)
