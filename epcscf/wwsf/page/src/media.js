// Microphone, camera and what getStats says about a call.
import {MediaError} from './words.js';

/**
 * Ask for microphone and, where wanted, camera. A missing camera does not prevent the call.
 * @returns {Promise<{stream: MediaStream, note: string}>} note: what the user should know, or ''
 */
export async function openMedia(video) {
  if (!navigator.mediaDevices)
    throw new MediaError({name: 'InsecureContext'});
  const audio = {echoCancellation: true, noiseSuppression: true, autoGainControl: true};
  if (video) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia(
        {audio, video: {width: {ideal: 640}, height: {ideal: 480}}});
      return {stream, note: ''};
    } catch (error) {
      const why = new MediaError(error, 'camera').message;
      const {stream} = await openMedia(false);
      return {stream, note: `${why} The call goes on with sound only.`};
    }
  }
  try {
    return {stream: await navigator.mediaDevices.getUserMedia({audio}), note: ''};
  } catch (error) {
    throw new MediaError(error);
  }
}

export function closeMedia(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** All entries of getStats as plain objects. */
export async function rawStats(connection) {
  if (!connection || connection.connectionState === 'closed') return [];
  return [...(await connection.getStats()).values()].map((entry) => ({...entry}));
}

function flow(kind) {
  return {kind, packetsSent: 0, packetsReceived: 0, bytesSent: 0, bytesReceived: 0,
    packetsLost: 0, jitterMs: null, codec: ''};
}

/** Per medium: packets and octets both ways, loss, jitter, codec; and the round-trip time. */
export function summarise(entries) {
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const media = new Map();
  let roundTripMs = null;
  for (const entry of entries) {
    if (entry.type === 'candidate-pair' && entry.nominated && entry.currentRoundTripTime !== undefined)
      roundTripMs = Math.round(entry.currentRoundTripTime * 1000);
    if (entry.type !== 'outbound-rtp' && entry.type !== 'inbound-rtp') continue;
    if (!media.has(entry.kind)) media.set(entry.kind, flow(entry.kind));
    const m = media.get(entry.kind);
    if (entry.type === 'outbound-rtp') {
      m.packetsSent += entry.packetsSent ?? 0;
      m.bytesSent += entry.bytesSent ?? 0;
    } else {
      m.packetsReceived += entry.packetsReceived ?? 0;
      m.bytesReceived += entry.bytesReceived ?? 0;
      m.packetsLost += entry.packetsLost ?? 0;
      if (entry.jitter !== undefined) m.jitterMs = Math.round(entry.jitter * 1000);
    }
    const codec = byId.get(entry.codecId);
    if (codec) m.codec = codec.mimeType.split('/')[1];
  }
  return {media: [...media.values()], roundTripMs};
}
