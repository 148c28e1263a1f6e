-- Taking rows away, for the scripts that forget; stands between row.lua and them.

local function read_row(id)
  local row = call('HGET', base .. 'rows', id)
  return row and cmsgpack.unpack(row)
end

local function forget(id, row)
  if row[KEY] ~= '' and call('HGET', base .. 'keys', row[KEY]) == id then
    call('HDEL', base .. 'keys', row[KEY])
  end
  call('ZREM', base .. 'lanes', in_lane(id, row, '0'))
  call('HDEL', base .. 'rows', id)
  call('HDEL', base .. 'frames', id)
end

-- A dead letter is one no more; what is known of its way stays as long as of any other.
local function forget_letter(id, row)
  call('ZREM', base .. 'dead', id)
  call('ZREM', base .. 'deaths', id)
  if not row then
    return
  end
  row[DEAD] = 0
  local count = cmsgpack.unpack(call('HGET', base .. 'counts', row[QUEUE]))
  count[5] = count[5] - 1
  call('HSET', base .. 'counts', row[QUEUE], cmsgpack.pack(count))
  if row[ARCHIVED] == 1 then
    forget(id, row)
  else
    call('HSET', base .. 'rows', id, cmsgpack.pack(row))
  end
end
