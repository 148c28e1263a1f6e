-- Outcomes that lie ready for an asker, oldest first; those that it has heard are taken away before.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV     asker, limit, entries that it has heard (from the third on)
-- returns  [entry, msgpack [id, outcome, at], entry, ...]
--
-- Idempotent.

local asker, limit = ARGV[3], tonumber(ARGV[4])
for at = 5, #ARGV do
  drop_answer(asker, ARGV[at])
end
flush()
local found = {}
if limit > 0 then
  local entries = call('ZRANGE', base .. 'order:' .. asker, 0, limit - 1)
  for at, said in ipairs(values_of('answers:' .. asker, entries)) do
    found[#found + 1] = entries[at]
    found[#found + 1] = said
  end
end
return found
