-- Outcomes that lie ready for an asker, oldest first.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV     asker, limit (from the third on)
-- returns  [entry, msgpack [id, outcome, at], entry, ...]

local found, entries = {}, call('ZRANGE', base .. 'order:' .. ARGV[3], 0, tonumber(ARGV[4]) - 1)
for at, said in ipairs(values_of('answers:' .. ARGV[3], entries)) do
  found[#found + 1] = entries[at]
  found[#found + 1] = said
end
return found
