-- Dead letters of one partition in the order of position.
--
-- KEYS[1]  {PREFIX:pN}:meta
-- ARGV     after (position), limit
-- returns  [id, row, frame, id, row, frame, ...]

return with_rows(call('ZRANGEBYSCORE', base .. 'dead', '(' .. ARGV[1], '+inf', 'LIMIT', 0, tonumber(ARGV[2])))
