-- Outcomes that their asker has heard.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV     asker, entries (from the third on)
-- returns  how many lay there
--
-- Idempotent.

local heard = 0
for at = 4, #ARGV do
  heard = heard + drop_answer(ARGV[3], ARGV[at])
end
return heard
