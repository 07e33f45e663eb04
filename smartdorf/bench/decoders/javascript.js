// A codec as vendors write them (TS013): channel, type, value, and a history of the last hours. Written for measuring.

var POSITIONS = ["normal", "tilt"];
var ALARMS = {0: "released", 1: "alarm", 2: "mutation"};

function readUInt16LE(bytes) {
  return ((bytes[1] << 8) + bytes[0]) & 0xffff;
}

function readInt16LE(bytes) {
  var value = readUInt16LE(bytes);
  return value > 0x7fff ? value - 0x10000 : value;
}

function readUInt32LE(bytes) {
  return ((bytes[3] << 24) + (bytes[2] << 16) + (bytes[1] << 8) + bytes[0]) >>> 0;
}

function serialNumber(bytes) {
  return bytes.map(function (byte) { return ("0" + (byte & 0xff).toString(16)).slice(-2); }).join("");
}

function decodeChannels(bytes) {
  var decoded = {};
  for (var i = 0; i < bytes.length; ) {
    var channel = bytes[i++];
    var type = bytes[i++];
    if (channel === 0x01 && type === 0x75) {
      decoded.battery = bytes[i];
      i += 1;
    } else if (channel === 0x03 && type === 0x67) {
      decoded.temperature = readInt16LE(bytes.slice(i, i + 2)) / 10;
      i += 2;
    } else if (channel === 0x04 && type === 0x82) {
      decoded.distance = readUInt16LE(bytes.slice(i, i + 2));
      i += 2;
    } else if (channel === 0x05 && type === 0x00) {
      decoded.position = POSITIONS[bytes[i]] || "unknown";
      i += 1;
    } else if (channel === 0x84 && type === 0x82) {
      decoded.distance = readUInt16LE(bytes.slice(i, i + 2));
      decoded.alarm = ALARMS[bytes[i + 2]] || "unknown";
      i += 3;
    } else if (channel === 0xff && type === 0x16) {
      decoded.sn = serialNumber(bytes.slice(i, i + 8));
      i += 8;
    } else if (channel === 0x20 && type === 0xce) {
      decoded.history = decoded.history || [];
      decoded.history.push({
        timestamp: readUInt32LE(bytes.slice(i, i + 4)),
        distance: readUInt16LE(bytes.slice(i + 4, i + 6)),
      });
      i += 6;
    } else {
      throw new Error("unknown channel " + channel + ", type " + type);
    }
  }
  return decoded;
}

function decodeUplink(input) {
  return {data: decodeChannels(input.bytes), errors: [], warnings: []};
}
