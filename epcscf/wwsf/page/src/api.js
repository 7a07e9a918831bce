// The WWSF's own interface. A failure is an ApiError with words for people.

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

function words(status, retryAfter) {
  switch (status) {
    case 400: return 'The server did not accept what was sent. Check the network code (PLMN).';
    case 401: return 'User name or password is wrong.';
    case 403: return 'The server refused this page. Open it under its proper address.';
    case 404: return 'No eP-CSCF is known for that network.';
    case 503: return `Too many people are using this at the moment. Try again in ${retryAfter || 'some'} seconds.`;
    case 429: return `Too many attempts. Try again in ${retryAfter || 'some'} seconds.`;
    default: return `The server has a problem (${status}). Try again later.`;
  }
}

async function request(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      cache: 'no-store',
      headers: method === 'POST' ? {'Content-Type': 'application/json'} : {},
      body: method === 'POST' ? JSON.stringify(body ?? {}) : undefined,
    });
  } catch {
    throw new ApiError('The web server cannot be reached. Check the network connection.', 0);
  }
  if (!response.ok)
    throw new ApiError(words(response.status, response.headers.get('Retry-After')), response.status);
  return response.status === 204 ? null : response.json();
}

/** What of {serving, home} is known; the WWSF refuses empty ones. */
const told = (where) => Object.fromEntries(Object.entries(where).filter(([, plmn]) => plmn));

export const login = (user, password, where) =>
  request('POST', '/api/login', {user, password, ...told(where)});
export const refresh = (where) => request('POST', '/api/token', told(where));
/** An identity of the pool, without log-in. */
export const guest = (where) => request('POST', '/api/guest', told(where));
export const logout = () => request('POST', '/api/logout', {});
export const config = (where) => request('GET', `/api/config?${new URLSearchParams(told(where))}`);
