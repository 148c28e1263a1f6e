-- Tokens that were taken and not used.
--
-- KEYS     {PREFIX:rates}:asked:ROUTER:back, then {PREFIX:rates}:KIND:NAME of each level
-- ARGV     name of the question; for each level how many tokens
-- returns  1
--
-- A level that is gone is full. One that holds too much then holds what it can at the next question: only that one knows
-- its rate. Idempotent for the latest question of a router.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return 1
end
for level = 2, #KEYS do
  local text = redis.call('GET', KEYS[level])
  if text then
    local units, at, per = string.match(text, '^(%d+) (%d+) (%d+)$')
    units = tonumber(units) + tonumber(ARGV[level]) * tonumber(per)
    local left = math.max(1, redis.call('PTTL', KEYS[level]))
    redis.call('SET', KEYS[level], string.format('%.0f %s %s', units, at, per), 'PX', left)
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
return 1
