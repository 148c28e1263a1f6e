-- Take tokens for commands, in their order: each of all its levels, or of none.
--
-- KEYS     {PREFIX:rates}:asked:ROUTER:N, then {PREFIX:rates}:KIND:NAME of each level
-- ARGV     name of the question; rate and per of each level; for each command how many levels it has, and which (1 ..)
-- returns  two for each command: the level that refuses it, 0 if none does, and ms until that one has a token
--
-- A level is "UNITS AT PER": a token is PER units, and rate units flow in each ms. Its key is gone when it is full.
-- Idempotent for the latest question of a router's N-th part of a slice.

local seen = redis.call('GET', KEYS[1])
if seen then
  local known = cmsgpack.unpack(seen)
  if known[1] == ARGV[1] then
    return known[2]
  end
end

local now = now_ms()
local levels = #KEYS - 1
local units, rate, per, full, taken = {}, {}, {}, {}, {}
for first = 1, levels, 1000 do -- what unpack can bear is bounded
  local last = math.min(first + 999, levels)
  for offset, text in ipairs(redis.call('MGET', unpack(KEYS, first + 1, last + 1))) do
    local level = first + offset - 1
    rate[level], per[level] = tonumber(ARGV[2 * level]), tonumber(ARGV[2 * level + 1])
    full[level] = rate[level] * per[level]
    units[level] = full[level]
    if text then
      local held, at, of = string.match(text, '^(%d+) (%d+) (%d+)$')
      held, of = tonumber(held), tonumber(of)
      if of ~= per[level] then
        held = math.floor(held / of * per[level])
      end
      local passed = math.max(0, now - tonumber(at)) -- a clock that went back gives nothing
      units[level] = math.min(full[level], held + passed * rate[level])
    end
  end
end

local found = {}
local at = 2 * levels + 2
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  local refusing, longest = 0, 0
  for place = at + 1, last do
    local level = tonumber(ARGV[place])
    local missing = per[level] - units[level]
    if missing > 0 then
      local wait = math.ceil(missing / rate[level])
      if wait > longest then
        refusing, longest = level, wait
      end
    end
  end
  if refusing == 0 then
    for place = at + 1, last do
      local level = tonumber(ARGV[place])
      units[level] = units[level] - per[level]
      taken[level] = true
    end
  end
  found[#found + 1] = refusing
  found[#found + 1] = longest
  at = last + 1
end

for level in pairs(taken) do
  -- A second more than until it is full: what Redis calls now may be earlier than the time it told.
  local lasts = math.ceil((full[level] - units[level]) / rate[level]) + 1000
  redis.call('SET', KEYS[level + 1], string.format('%.0f %.0f %.0f', units[level], now, per[level]), 'PX', string.format('%.0f', lasts))
end
redis.call('SET', KEYS[1], cmsgpack.pack({ARGV[1], found}), 'PX', 60000)
return found
