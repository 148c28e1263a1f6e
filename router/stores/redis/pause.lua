-- Claims of a paused queue are empty.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  1 or 0
-- returns  nothing
--
-- Idempotent.

if ARGV[3] == '1' then
  call('HSET', KEYS[1], 'paused', '1')
else
  call('HDEL', KEYS[1], 'paused')
end
