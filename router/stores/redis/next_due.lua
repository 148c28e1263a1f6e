-- When to look for due schedules again.
--
-- KEYS[1]  {PREFIX:schedules}:meta
-- ARGV[3]  now
-- returns  the time, not before now; 0: there is none to come

local now = tonumber(ARGV[3])
local earliest = nil
for _, id in ipairs(call('ZRANGEBYSCORE', base .. 'due', '-inf', now)) do
  local _, ends = claim_of(id)
  if not earliest or ends < earliest then
    earliest = ends
  end
end
local coming = call('ZRANGEBYSCORE', base .. 'due', '(' .. ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if coming[2] and (not earliest or tonumber(coming[2]) < earliest) then
  earliest = tonumber(coming[2])
end
return earliest and math.max(earliest, now) or 0
