// A client of the matchmaking server for browsers. What stands is always read from the server; the socket
// only says when to look, so without it everything works as well, a little later.

const POLL_MS = 1_500; // without a socket
const LOOK_MS = 15_000; // with one
const LONGEST_PAUSE_MS = 30_000;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export class Matchmaker {
    #open = false; // whether the socket is
    #waiting = new Set(); // whoever looks again when something happens
    #closed = false;

    // `token(isStale)` gives an access token; another one, where the last one was refused.
    constructor(server, token, onEvent = () => {}) {
        Object.assign(this, { server, token, onEvent });
    }

    // One call. Waits where the server asks for it or is away, and takes one new token; throws the rest.
    async call(method, path, body) {
        for (let isStale = false; !this.#closed; ) {
            const headers = { Authorization: `Bearer ${await this.token(isStale)}` };
            const request = { method, headers, body: body && JSON.stringify(body) };
            const answer = await fetch(`${this.server}/api/v1/matching${path}`, request).catch(() => null);
            if (answer?.status === 401 && !isStale) {
                isStale = true;
            } else if (!answer || answer.status === 429 || answer.status === 503) {
                await sleep(1_000 * (Number(answer?.headers.get("Retry-After")) || 1));
            } else {
                const json = await answer.json();
                if (answer.ok) return json;
                throw Object.assign(new Error(json.detail), json, { status: answer.status });
            }
        }
        throw new Error("closed");
    }

    // Keeps a socket open until `close()`: connects again after growing pauses.
    async listen() {
        for (let pause = 500, isStale = false; !this.#closed; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
            const url = new URL("/ws", this.server.replace(/^http/, "ws"));
            url.searchParams.set("token", await Promise.resolve(isStale).then(this.token).catch(() => "none"));
            if (this.#closed) return;
            const socket = (this.socket = new WebSocket(url));
            socket.onopen = () => this.#heard({ type: "open" });
            socket.onmessage = ({ data }) => this.#heard(JSON.parse(data));
            const { code } = await new Promise((closed) => (socket.onclose = closed));
            isStale = code === 4401;
            if (this.#open && !isStale) pause = 500;
            this.#heard({ type: "closed", code });
            await sleep(pause * (0.5 + Math.random()));
        }
    }

    close() {
        this.#closed = true;
        this.socket?.close();
    }

    // Asks for a partner; gives the id of the match, or null where nobody came in time.
    async findPartner(difficulty, topic) {
        const asked = await this.call("POST", "/request", { difficulty, topic }).catch((fault) => {
            if (fault.request_id) return { id: fault.request_id }; // asked before, from elsewhere
            throw fault;
        });
        return this.#until(async () => {
            const { status, match_id } = await this.call("GET", `/requests/${asked.id}/status`);
            return status === "pending" ? undefined : (match_id ?? null);
        });
    }

    // Confirms; gives the session once both have, or null where the match ended without one.
    async confirm(match_id) {
        const isGone = (fault) => (fault.status === 404 ? null : Promise.reject(fault));
        const answer = await this.call("POST", "/confirm", { match_id, confirmed: true }).catch(isGone);
        return answer && this.#until(async () => {
            const match = await this.call("GET", `/${match_id}/status`).catch(isGone);
            if (match && !match.session_id) return undefined;
            return match && this.call("GET", `/session/${match.session_id}`).then((session) => ({ ...session, ...match }));
        });
    }

    decline = (match_id) => this.call("POST", "/confirm", { match_id, confirmed: false });
    cancel = (request_id) => this.call("DELETE", `/request/${request_id}`);
    leave = (session_id) => this.call("POST", "/sessions/leave", { session_id });

    // Looks until there is something to see, whenever something has happened and from time to time.
    async #until(look) {
        for (;;) {
            let wake;
            const woken = new Promise((happened) => this.#waiting.add((wake = happened)));
            try {
                const seen = await look();
                if (seen !== undefined) return seen;
                await Promise.race([woken, sleep(this.#open ? LOOK_MS : POLL_MS)]);
            } finally {
                this.#waiting.delete(wake);
            }
        }
    }

    #heard(event) {
        this.#open = event.type !== "closed";
        for (const wake of this.#waiting) wake();
        this.onEvent(event);
    }
}
