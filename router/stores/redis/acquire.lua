-- Take what is free among partitions: never had, released or lapsed by the clock of this server.
--
-- KEYS     {PREFIX:pN}:meta of each
-- ARGV     router, ttl in ms
-- returns  the token of each that is the router's now, 0 for the others
--
-- A token is above every one before and not below this server's time in ms, so that one from before Redis was emptied
-- is never given again. Idempotent: who has a lease keeps its token, in one life of the server.

local router, ttl = ARGV[1], tonumber(ARGV[2])
local now, run = now_ms(), life()
local tokens = {}
for at, key in ipairs(KEYS) do
  local meta = redis.call('HMGET', key, 'router', 'token', 'until', 'life')
  local owner, token, free = meta[1] or '', tonumber(meta[2] or 0), tonumber(meta[3] or 0) <= now
  if free or owner == router then
    if free or (meta[4] or '') ~= run then -- else the answer was lost
      token = math.max(token + 1, now)
    end
    redis.call('HSET', key, 'router', router, 'token', string.format('%.0f', token), 'until', string.format('%.0f', now + ttl), 'life', run)
    tokens[at] = token
  else
    tokens[at] = 0
  end
end
return tokens
