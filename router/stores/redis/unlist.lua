-- Names of queues are taken off the list, but for those that were listed anew; others are looked at later again.
--
-- KEYS[1]  PREFIX:names
-- ARGV[1]  time at or before which a name was listed that may go
-- ARGV     for each: name, 0 or the time it was used last (from the second on)
-- returns  nothing
--
-- Idempotent.

local before = tonumber(ARGV[1])
for at = 2, #ARGV, 2 do
  local listed = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[at]) or before + 1)
  if listed <= before then
    if ARGV[at + 1] == '0' then
      redis.call('ZREM', KEYS[1], ARGV[at])
    else
      redis.call('ZADD', KEYS[1], ARGV[at + 1], ARGV[at])
    end
  end
end
