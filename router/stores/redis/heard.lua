-- Outcomes that their asker has heard.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV     asker, entries (from the third on)
-- returns  nothing
--
-- Idempotent.

for at = 4, #ARGV do
  drop_answer(ARGV[3], ARGV[at])
end
flush()
