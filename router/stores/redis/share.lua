-- What one router holds of levels of slots.
--
-- KEYS     {PREFIX:rates}:slots:LEVEL of each
-- ARGV     router, number of the claim (rises), ttl in ms, channel of all, then limit, keep, wanted, target of each
-- returns  [now, [held, router, wanted, router, wanted, ...], ...]: of each level what it holds now, and what every other
--          router wants; 0 if a later claim of this router was here already
--
-- A level is a hash: router -> [number, held, wanted, until]. News for all when somebody else waits for what was given
-- up, and when this router begins to want more than it got. Idempotent.

local router, number, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()

for _, key in ipairs(KEYS) do
  local known = redis.call('HGET', key, router)
  if known and cmsgpack.unpack(known)[1] > number then
    return 0
  end
end

local found, news = {now}, false
for level, key in ipairs(KEYS) do
  local at = 4 * level
  local limit, keep = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local wanted, target = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local had, hungry, others, before, asked = 0, false, 0, 0, {}
  local all = redis.call('HGETALL', key)
  for place = 1, #all, 2 do
    local one = cmsgpack.unpack(all[place + 1])
    if all[place] == router then
      if one[4] > now then
        had, before = one[2], one[3]
      end
    elseif one[4] <= now then
      redis.call('HDEL', key, all[place])
    else
      others = others + one[2]
      hungry = hungry or one[3] > one[2]
      asked[#asked + 1] = all[place]
      asked[#asked + 1] = one[3]
    end
  end
  local held = math.max(keep, math.min(target, limit - others))
  if held == 0 and wanted == 0 then
    redis.call('HDEL', key, router)
  else
    redis.call('HSET', key, router, cmsgpack.pack({number, held, wanted, now + ttl}))
    redis.call('PEXPIRE', key, math.max(60000, 2 * ttl))
  end
  if (had > held and hungry) or (wanted > held and before <= had) then
    news = true
  end
  local answer = {held}
  for _, each in ipairs(asked) do
    answer[#answer + 1] = each
  end
  found[#found + 1] = answer
end

if news then
  redis.pcall('PUBLISH', ARGV[4], cmsgpack.pack({router, {4, 'slots', ''}}))
end
return found
