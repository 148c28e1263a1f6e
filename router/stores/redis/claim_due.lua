-- Take the schedules whose tick has come, and that nobody else deals with.
--
-- KEYS[1]  {PREFIX:schedules}:meta
-- ARGV     router, now, until, limit (from the third on)
-- returns  msgpack [id, id, ...]
--
-- Idempotent: the same router gets the same again.

local router, now, until_, limit = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local claimed = {}
for _, id in ipairs(call('ZRANGEBYSCORE', base .. 'due', '-inf', now)) do
  if #claimed >= limit then
    break
  end
  local who, ends = claim_of(id)
  if who == router or ends <= now then
    call('HSET', base .. 'claimed', id, cmsgpack.pack({router, until_}))
    claimed[#claimed + 1] = id
  end
end
return cmsgpack.pack(claimed)
