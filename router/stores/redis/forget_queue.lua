-- A queue that holds nothing and has not been used for long goes away, with all its keys.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV     time at or before which it was used last; now (from the third on)
-- returns  0: it is gone, or never was; else the time of its last use
--
-- Idempotent. Its name is taken off the list afterwards (unlist.lua); append.lua says why nothing gets lost between.

local before, now = tonumber(ARGV[3]), tonumber(ARGV[4])
local meta = call('HMGET', KEYS[1], 'used', 'waiting', 'delayed', 'claimed', 'paused')
local holds = tonumber(meta[2] or 0) + tonumber(meta[3] or 0) + tonumber(meta[4] or 0) > 0 or meta[5] == '1'
for _, name in ipairs({'failed', 'words', 'lying'}) do
  holds = holds or call('EXISTS', base .. name) == 1
end
if holds then
  return now
end
local used = tonumber(meta[1] or 0)
if used > before then
  return used
end
for _, name in ipairs({'meta', 'items', 'frames', 'ready', 'ages', 'delayed', 'claimed', 'expiring', 'done', 'executions'}) do
  call('DEL', base .. name)
end
return 0
