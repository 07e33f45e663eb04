// What a vendor's codec finds around itself, and how it is called. Runs in a context of its own: see worker.py.
//
// `prepare(make)` gets the codec as a function that runs the whole file and returns the functions it defines. The
// file is run again for each call, in a scope of its own: no variable of the last frame is left for the next one.
(function () {
  "use strict";

  // Kept from here on, because a codec may overwrite the global ones.
  const { parse, stringify } = JSON;
  const { keys } = Object;
  const { deleteProperty } = Reflect;
  const { isArray } = Array;
  const global = globalThis;

  // -- Buffer, as far as codecs use it: ChirpStack and Node have one -----------------------------------

  const BASE64 = /[^A-Za-z0-9+/]/g;

  function textToBytes(text, encoding) {
    switch (String(encoding || "utf8").toLowerCase()) {
      case "hex": {
        const pairs = text.match(/^(?:[0-9a-f]{2})*/i)[0];
        const bytes = [];
        for (let at = 0; at < pairs.length; at += 2) bytes.push(parseInt(pairs.slice(at, at + 2), 16));
        return bytes;
      }
      case "base64":
      case "base64url": {
        const plain = text.replace(/-/g, "+").replace(/_/g, "/").replace(BASE64, "");
        return textToBytes(atob(plain.length % 4 === 1 ? plain.slice(0, -1) : plain), "latin1");
      }
      case "ascii":
      case "binary":
      case "latin1":
        return Array.from(text, (letter) => letter.charCodeAt(0) & 0xff);
      case "utf8":
      case "utf-8":
        return textToBytes(unescape(encodeURIComponent(text.toWellFormed())), "latin1");
      default:
        throw new TypeError("Unknown encoding: " + encoding);
    }
  }

  function latin1(bytes, mask = 0xff) {
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte & mask);
    return text;
  }

  function utf8(bytes) {
    try {
      return decodeURIComponent(escape(latin1(bytes)));
    } catch {
      // something is no UTF-8: that byte becomes U+FFFD, the rest stays readable
      let text = "";
      for (let at = 0; at < bytes.length; ) {
        const first = bytes[at];
        let length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        try {
          text += decodeURIComponent(escape(latin1(bytes.subarray(at, at + length))));
        } catch {
          text += "\ufffd";
          length = 1;
        }
        at += length;
      }
      return text;
    }
  }

  class Buffer extends Uint8Array {
    static get [Symbol.species]() {
      return Buffer;
    }

    static from(value, encoding, length) {
      if (typeof value === "string") return new Buffer(textToBytes(value, encoding));
      if (value instanceof ArrayBuffer) return new Buffer(value, encoding, length);
      if (value && value.type === "Buffer" && isArray(value.data)) return new Buffer(value.data);
      return new Buffer(Array.from(value));
    }

    static alloc(size, fill = 0, encoding = undefined) {
      return new Buffer(size).fill(fill, 0, size, encoding);
    }

    static allocUnsafe(size) {
      return new Buffer(size);
    }

    static isBuffer(value) {
      return value instanceof Buffer;
    }

    static byteLength(value, encoding) {
      return typeof value === "string" ? textToBytes(value, encoding).length : value.byteLength;
    }

    static concat(list, length = list.reduce((sum, part) => sum + part.length, 0)) {
      const joined = new Buffer(length);
      let at = 0;
      for (const part of list) {
        joined.set(part.subarray(0, Math.max(0, length - at)), at);
        at += Math.min(part.length, length - at);
      }
      return joined;
    }

    // shares the memory, as Node's does
    slice(start, end) {
      return this.subarray(start, end);
    }

    toString(encoding, start = 0, end = this.length) {
      const part = this.subarray(start, end);
      switch (String(encoding || "utf8").toLowerCase()) {
        case "hex":
          return Array.from(part, (byte) => byte.toString(16).padStart(2, "0")).join("");
        case "base64":
          return btoa(latin1(part));
        case "base64url":
          return btoa(latin1(part)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
        case "ascii":
          return latin1(part, 0x7f);
        case "binary":
        case "latin1":
          return latin1(part);
        case "utf8":
        case "utf-8":
          return utf8(part);
        default:
          throw new TypeError("Unknown encoding: " + encoding);
      }
    }

    toJSON() {
      return { type: "Buffer", data: Array.from(this) };
    }

    equals(other) {
      return this.length === other.length && this.every((byte, at) => byte === other[at]);
    }

    fill(value, start = 0, end = this.length, encoding = undefined) {
      if (typeof value !== "string") return super.fill(value, start, end);
      const bytes = textToBytes(value, encoding);
      for (let at = start; at < end; at++) this[at] = bytes.length ? bytes[(at - start) % bytes.length] : 0;
      return this;
    }

    copy(target, targetStart = 0, start = 0, end = this.length) {
      const part = this.subarray(start, Math.min(end, start + target.length - targetStart));
      target.set(part, targetStart);
      return part.length;
    }

    write(text, at = 0, length = undefined, encoding = undefined) {
      if (typeof at === "string") [at, encoding] = [0, at];
      if (typeof length === "string") [length, encoding] = [undefined, length];
      const room = Math.min(length ?? Infinity, this.length - at);
      const bytes = textToBytes(text, encoding).slice(0, room);
      this.set(bytes, at);
      return bytes.length;
    }

    readUIntBE(at, length) {
      let number = 0;
      for (const byte of place(this, at, length)) number = number * 256 + byte;
      return number;
    }

    readUIntLE(at, length) {
      let number = 0;
      for (const byte of Array.from(place(this, at, length)).reverse()) number = number * 256 + byte;
      return number;
    }

    readIntBE(at, length) {
      return signed(this.readUIntBE(at, length), length);
    }

    readIntLE(at, length) {
      return signed(this.readUIntLE(at, length), length);
    }

    writeUIntBE(value, at, length) {
      const bytes = place(this, at, length);
      for (let index = length - 1; index >= 0; index--, value = Math.floor(value / 256)) bytes[index] = value;
      return at + length;
    }

    writeUIntLE(value, at, length) {
      const bytes = place(this, at, length);
      for (let index = 0; index < length; index++, value = Math.floor(value / 256)) bytes[index] = value;
      return at + length;
    }
  }

  Buffer.prototype.writeIntBE = Buffer.prototype.writeUIntBE;
  Buffer.prototype.writeIntLE = Buffer.prototype.writeUIntLE;

  function place(buffer, at, length) {
    if (!(at >= 0 && at + length <= buffer.length)) {
      throw new RangeError(`The value of "offset" is out of range: ${at}, the buffer has ${buffer.length} bytes`);
    }
    return buffer.subarray(at, at + length);
  }

  function signed(number, length) {
    return number >= 2 ** (8 * length - 1) ? number - 2 ** (8 * length) : number;
  }

  // readInt16LE, writeFloatBE … : Node's name, and DataView's
  for (const [name, type, size] of [
    ["UInt8", "Uint8", 1], ["Int8", "Int8", 1], ["UInt16", "Uint16", 2], ["Int16", "Int16", 2],
    ["UInt32", "Uint32", 4], ["Int32", "Int32", 4], ["Float", "Float32", 4], ["Double", "Float64", 8],
    ["BigUInt64", "BigUint64", 8], ["BigInt64", "BigInt64", 8],
  ]) {
    for (const order of size === 1 ? [""] : ["LE", "BE"]) {
      const read = DataView.prototype["get" + type], write = DataView.prototype["set" + type];
      const view = (buffer, at) => {
        const bytes = place(buffer, at, size);
        return new DataView(bytes.buffer, bytes.byteOffset, size);
      };
      for (const written of [name, name.replace("UInt", "Uint")]) {
        Buffer.prototype["read" + written + order] = function (at = 0) {
          return read.call(view(this, at), 0, order === "LE");
        };
        Buffer.prototype["write" + written + order] = function (value, at = 0) {
          write.call(view(this, at), 0, value, order === "LE");
          return at + size;
        };
      }
    }
  }

  // -- what else codecs expect --------------------------------------------------------------------------

  const nothing = () => {};
  global.Buffer = Buffer;
  global.console = { log: nothing, info: nothing, warn: nothing, error: nothing, debug: nothing };
  global.require = (name) => {
    if (name === "buffer" || name === "node:buffer") return { Buffer };
    throw new Error(`require("${name}"): a codec has nothing but "buffer"`);
  };
  // JSON has no such numbers; without this, a codec that counts with them could return nothing
  BigInt.prototype.toJSON = function () {
    return Number.isSafeInteger(Number(this)) ? Number(this) : this.toString();
  };
  global.module = global.exports = undefined; // made anew for each call

  // -- one call -----------------------------------------------------------------------------------------

  const known = new Set(keys(global));

  // Takes away the globals that the codec left behind (`x = 1` without `var`); false where it cannot be done.
  function clean() {
    const found = keys(global);
    return found.length === known.size || found.every((key) => known.has(key) || deleteProperty(global, key));
  }

  function begin() {
    global.module = { exports: {} };
    global.exports = global.module.exports;
  }

  function functionsOf(make) {
    begin();
    const declared = make.call(global);
    const exported = global.module.exports ?? {};
    for (const name in declared) {
      if (typeof declared[name] !== "function") declared[name] = exported[name] ?? global[name];
    }
    return declared;
  }

  function decode(functions, input) {
    const { decodeUplink, Decode, Decoder } = functions;
    if (typeof decodeUplink === "function") return decodeUplink(input);
    if (typeof Decode === "function") return { data: Decode(input.fPort, input.bytes, input.variables) };
    return { data: Decoder(input.bytes, input.fPort) };
  }

  return {
    begin,

    // The names of the functions that the codec has.
    names(make) {
      const functions = functionsOf(make);
      return stringify(keys(functions).filter((name) => typeof functions[name] === "function"));
    },

    // JSON in, JSON out. The first letter says whether the context can be used again: + or -.
    prepare(make) {
      return (text) => {
        const { name, input } = parse(text);
        if (typeof input.recvTime === "number") input.recvTime = new Date(input.recvTime);
        const functions = functionsOf(make);
        const result = name === "decodeUplink" ? decode(functions, input) : functions[name](input);
        if (result instanceof Promise) throw new TypeError(`${name} is async, and must not be`);
        const answer = stringify(result) ?? "null";
        return [clean() ? "+" : "-", answer].join(""); // with + it would be a rope, which Python cannot be given
      };
    },
  };
})();
