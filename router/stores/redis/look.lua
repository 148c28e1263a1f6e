-- Who owns partitions.
--
-- KEYS     {PREFIX:pN}:meta of each
-- returns  [router, token, ms left, router, token, ms left, ...]

local found = {}
local now = now_ms()
for _, key in ipairs(KEYS) do
  local meta = redis.call('HMGET', key, 'router', 'token', 'until')
  local left = tonumber(meta[3] or 0) - now
  found[#found + 1] = meta[1] or ''
  found[#found + 1] = tonumber(meta[2] or 0)
  found[#found + 1] = left > 0 and left or 0
end
return found
