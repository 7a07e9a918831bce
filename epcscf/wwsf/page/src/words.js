// SIP and browser errors in words, with what to do; SIP messages in one plain line each.

const MEDIA = {
  NotAllowedError: (d) => `The browser may not use the ${d}. Allow it in the address bar, then try again.`,
  NotFoundError: (d) => `No ${d} was found. Connect one, then try again.`,
  NotReadableError: (d) => `The ${d} is in use by another program. Close that program, then try again.`,
  OverconstrainedError: (d) => `The ${d} cannot do what was asked of it. Try another one.`,
  InsecureContext: (d) => `The browser gives no ${d} to this page: it must be opened with https.`,
};

export class MediaError extends Error {
  constructor(error, device = 'microphone') {
    super((MEDIA[error.name] ?? ((d) => `The ${d} cannot be used (${error.name}).`))(device));
    this.name = 'MediaError';
  }
}

const REGISTRATION = {
  400: 'The request was not understood. Reload the page.',
  401: 'The credentials were not accepted.',
  403: 'This identity may not be registered from here. Ask the operator, or check the identity.',
  404: 'The home network does not know this identity.',
  408: 'The home network did not answer. It is tried again when you register again.',
  423: 'The registration time is too short for the network.',
  480: 'The network is not available at the moment. Try again later.',
  500: 'The network has a problem. Try again later.',
  503: 'The service is overloaded or going down. Try again in a while.',
  504: 'The home network did not answer in time. Try again later.',
};

const CALL = {
  400: 'The request was not understood.',
  401: 'Your registration is no longer valid. Register again.',
  403: 'This call is not allowed.',
  404: 'Nobody has this number or address.',
  406: 'The other side cannot take this call.',
  408: 'The other side did not answer.',
  415: 'The other side does not understand the kind of call.',
  430: 'The connection to the other side was lost.',
  480: 'The other side is not reachable now.',
  481: 'The call no longer exists.',
  482: 'The call went round in a circle.',
  483: 'The call was passed on too often.',
  484: 'The number is not complete.',
  486: 'Busy.',
  487: 'Call cancelled.',
  488: 'The two sides have no audio or video format in common.',
  500: 'The network has a problem. Try again later.',
  502: 'The other network has a problem.',
  503: 'The service is overloaded, or the network has no room for the call. Try again in a while.',
  504: 'The other side did not answer in time.',
  580: 'The network has no room for the media of this call.',
  600: 'Busy everywhere.',
  603: 'The call was declined.',
  604: 'Nobody has this number or address.',
  606: 'The other side does not accept this kind of call.',
};

const CAUSE = {
  'Connection Error': 'The connection to the eP-CSCF was lost.',
  'Request Timeout': 'No answer from the network.',
  'Canceled': 'Call cancelled.',
  'Rejected': 'The call was declined.',
  'No Answer': 'Nobody answered.',
  'Expires': 'The call was not answered in time.',
  'No ACK': 'The other side did not confirm the call.',
  'RTP Timeout': 'Sound and picture could not get through: the media path is blocked.',
  'WebRTC Error': 'The browser could not set up the media of the call.',
  'User Denied Media Access': 'The browser may not use the microphone.',
  'Incompatible SDP': 'The two sides have no audio or video format in common.',
  'Missing SDP': 'The other side sent no media description.',
  'Internal Error': 'The page has a problem with this call.',
};

/** Why a registration failed. mode: 'token' or 'digest' */
export function registrationFailure(mode, status, cause) {
  if (status === 401)
    return mode === 'digest' ? 'Identity or password is wrong.' :
      'The token was not accepted: it may have expired. Log in again.';
  return REGISTRATION[status] ?? CAUSE[cause] ??
    (status ? `Registration refused (${status}).` : 'Registration failed.');
}

/** Why a call failed. Local words first where the user did it. */
export function callFailure(status, cause) {
  return CALL[status] ?? CAUSE[cause] ?? (status ? `The call failed (${status}).` : 'The call failed.');
}

const CLOSE = {
  1001: 'The eP-CSCF is going down.',
  1008: 'The eP-CSCF closed the connection: the registration is no longer allowed.',
  1009: 'A message was too big for the eP-CSCF.',
};

export function connectionLost(code, again) {
  return `${CLOSE[code] ?? 'No connection to the eP-CSCF.'}${again ? ' Trying again…' : ''}`;
}

/** A SIP message with what must not be shown taken out. */
export function mask(text) {
  return text
    .replace(/^((?:Proxy-)?Authorization[ \t]*:[ \t]*\w+)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*/gim, '$1 ••••')
    .replace(/^(a=ice-pwd:)\S+/gim, '$1••••')
    .replace(/^(a=crypto:\d+ \S+ )\S+/gim, '$1••••');
}

function header(text, name, short) {
  const match = new RegExp(`^(?:${name}${short ? `|${short}` : ''})[ \\t]*:[ \\t]*(.*)$`, 'im').exec(text);
  return match ? match[1].trim() : '';
}

function who(value) {
  const match = /<?((?:sip|sips|tel):[^>;\s]+)/i.exec(value);
  return match ? match[1].replace(/^sips?:/i, '') : value;
}

function media(text) {
  const kinds = [...text.matchAll(/^m=(\w+) (\d+)/gm)].filter((m) => m[2] !== '0').map((m) => m[1]);
  if (!kinds.length) return '';
  const hold = /^a=(sendonly|inactive)\r?$/m.test(text) ? ', on hold' : '';
  return ` with ${kinds.join(' and ')}${hold}`;
}

function requestLine(method, text) {
  const to = who(header(text, 'To', 't'));
  const from = who(header(text, 'From', 'f'));
  switch (method) {
    case 'REGISTER': {
      const auth = /^Authorization[ \t]*:[ \t]*(\w+)/im.exec(text);
      const how = auth ? (auth[1].toLowerCase() === 'bearer' ? ' with the token' : ' with Digest') : '';
      return header(text, 'Expires') === '0' ? `Unregister ${to}` : `Register ${to}${how}`;
    }
    case 'INVITE':
      return /;\s*tag=/i.test(header(text, 'To', 't')) ? `Change of the call${media(text)}` :
        `Call from ${from} to ${to}${media(text)}`;
    case 'ACK': return 'Answer confirmed';
    case 'BYE': return 'Hang up';
    case 'CANCEL': return 'Call attempt cancelled';
    case 'UPDATE': return 'Call is still alive';
    case 'INFO': return 'Information within the call';
    case 'NOTIFY': return `News about ${header(text, 'Event', 'o') || 'a subscription'}`;
    case 'SUBSCRIBE': return `Asks for news about ${header(text, 'Event', 'o')}`;
    case 'MESSAGE': return `Text message from ${from}`;
    case 'REFER': return 'Please call someone else';
    case 'OPTIONS': return 'What can you do?';
    default: return method;
  }
}

function responseLine(status, phrase, text) {
  const method = header(text, 'CSeq').split(/\s+/)[1] ?? '';
  const name = `${status} ${phrase}`.trim();
  if (status === 100) return 'Being worked on';
  if (method === 'REGISTER') {
    if (status === 401) {
      const bearer = /^WWW-Authenticate[ \t]*:[ \t]*Bearer/im.test(text);
      return bearer ? 'Token not accepted' : 'Prove who you are (challenge)';
    }
    if (status < 300)
      return /expires=[1-9]/i.test(header(text, 'Contact', 'm')) || /^Expires[ \t]*:[ \t]*[1-9]/im.test(text) ?
        'Registration accepted' : 'No longer registered';
    return `Registration refused: ${name}`;
  }
  if (method === 'INVITE') {
    if (status === 180) return 'It rings';
    if (status < 200) return `Call goes on${media(text)}`;
    if (status < 300) return `Answered${media(text)}`;
    if (status === 487) return 'Call attempt ended';
    return `Call refused: ${name}`;
  }
  return status < 300 ? `${method} done` : `${method} refused: ${name}`;
}

/** One line for a SIP message: {title, words, kind: 'request'|'ok'|'wait'|'error', callId}. */
export function summarise(text) {
  const first = text.slice(0, text.search(/\r?\n|$/));
  const callId = header(text, 'Call-ID', 'i');
  const answer = /^SIP\/2\.0 (\d{3}) ?(.*)$/i.exec(first);
  if (answer) {
    const status = Number(answer[1]);
    return {title: `${status} ${answer[2]}`, words: responseLine(status, answer[2], text), callId,
      kind: status < 200 ? 'wait' : status < 300 ? 'ok' : status === 401 ? 'wait' : 'error'};
  }
  const method = first.split(' ')[0];
  return {title: method, words: requestLine(method, text), kind: 'request', callId};
}
