-- Claims are done.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  msgpack [now, how many done entries to keep, id, token, id, token, ...]
-- returns  msgpack of a boolean for each: false: the claim was lost
--
-- Idempotent by the token.

local order = cmsgpack.unpack(ARGV[3])
local now, results = order[1], {}
for at = 3, #order, 2 do
  local id = order[at]
  local item = item_of(id)
  if not item or item[TOKEN] ~= order[at + 1] or (item[STATE] ~= CLAIMED and item[STATE] ~= DONE) then
    results[#results + 1] = false
  else
    if item[STATE] == CLAIMED then
      complete(id, item, now)
    end
    results[#results + 1] = true
  end
end
trim('done', order[2])
return cmsgpack.pack(results)
