// PostgreSQL's wire protocol (version 3): bytes to messages and back. Knows no sessions and no database.
//
// A message is one type byte, a length (4 bytes, which counts itself but not the type) and a body. Only a
// client's first messages have no type byte. Strings end with a zero byte.

export const SSL_REQUEST = 80877103
export const GSS_REQUEST = 80877104
export const CANCEL_REQUEST = 80877102

/** One message from its type and the parts of its body (buffers, or strings taken as they are). */
export function message(type, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)))
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

export const typeOf = (packet) => String.fromCharCode(packet[0])

/** The zero-terminated string at `offset`, and the offset behind it. */
export function cstring(packet, offset) {
  const end = packet.indexOf(0, offset)
  return [packet.toString('utf8', offset, end), end + 1]
}

/** The complete messages of a server's answer. */
export function* messages(bytes) {
  for (let offset = 0; offset + 5 <= bytes.length; ) {
    const end = offset + 1 + bytes.readInt32BE(offset + 1)
    yield bytes.subarray(offset, end)
    offset = end
  }
}

export function query(sql) {
  return message('Q', `${sql}\0`)
}

export function closeStatement(name) {
  return message('C', `S${name}\0`)
}

export const SYNC = message('S')

export function errorResponse(severity, code, text) {
  return message('E', `S${severity}\0V${severity}\0C${code}\0M${text}\0\0`)
}

/** What a client expects after its startup message: no password asked, parameters, key, "ready". */
export function greeting(sessionId, parameters) {
  const key = Buffer.alloc(8) // process id and secret, for cancelling, which a single thread cannot do
  key.writeInt32BE(sessionId, 0)
  const statuses = Object.entries(parameters).map(([name, value]) => message('S', `${name}\0${value}\0`))
  return Buffer.concat([message('R', Buffer.alloc(4)), ...statuses, message('K', key), message('Z', 'I')])
}

/** "Go on, send the rows": 1 byte format (1 = binary), 2 bytes number of columns, which drivers ignore. */
export function copyInResponse(binary) {
  return message('G', Buffer.from([binary ? 1 : 0, 0, 0]))
}

/** Cuts the stream of a client into packets: first the untyped ones of the startup, then typed ones. */
export class PacketReader {
  #bytes = Buffer.alloc(0)
  started = false

  add(chunk) {
    this.#bytes = this.#bytes.length ? Buffer.concat([this.#bytes, chunk]) : chunk
  }

  /** The next complete packet, or null. */
  next() {
    const head = this.started ? 1 : 0
    if (this.#bytes.length < head + 4) return null
    const end = head + this.#bytes.readInt32BE(head)
    if (this.#bytes.length < end) return null
    const packet = this.#bytes.subarray(0, end)
    this.#bytes = this.#bytes.subarray(end)
    return packet
  }
}
