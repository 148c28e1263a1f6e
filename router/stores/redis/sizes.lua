-- How much one partition remembers, to share out how much all of them may.
--
-- KEYS[1]  {PREFIX:pN}:meta
-- returns  [ends, notes, dead letters]

return {call('ZCARD', base .. 'ended'), call('ZCARD', base .. 'notes'), call('ZCARD', base .. 'dead')}
