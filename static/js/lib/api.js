/** JSON requests to the server. Errors are RFC 9457 problem documents; their `detail` is written for the person. */

export class Problem extends Error {
  /** @param {number} status 0: no answer at all @param {string} detail @param {string} [code] @param {string | null} [field] */
  constructor(status, detail, code = "", field = null) {
    super(detail);
    this.status = status;
    this.code = code;
    this.field = field;
  }
}

/**
 * @param {string} method @param {string} path @param {unknown} [body] @param {AbortSignal} [signal]
 * @returns {Promise<any>} the decoded answer, null for 204
 * @throws {Problem}
 */
export async function request(method, path, body, signal) {
  let response;
  try {
    response = await fetch(path, {
      method, signal,
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer. Is it still running?");
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(error => {
    if (signal?.aborted) throw error; // not an answer that is no JSON, but one that nobody waits for
    return null;
  });
  if (!response.ok) throw new Problem(response.status, answer?.detail ?? `The server answered ${response.status}.`, answer?.code, answer?.field);
  return answer;
}
