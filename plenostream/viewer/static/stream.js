// The connection: views go out, pictures come in, and each of them is said to have arrived.

const FIRST_WAIT_MS = 500, LONGEST_WAIT_MS = 8000;

export class Stream {
  #socket = null;
  #wait = FIRST_WAIT_MS;
  #on;
  #drawn = Promise.resolve();

  // `on`: functions told, picture, thumbnail, lost.
  constructor(on) {
    this.#on = on;
    this.#connect();
  }

  get isOpen() { return this.#socket?.readyState === WebSocket.OPEN; }

  say(message) {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
  }

  #connect() {
    const address = new URL("stream", location.href);
    address.protocol = location.protocol.replace("http", "ws");
    address.search = location.search; // the token
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      this.#wait = FIRST_WAIT_MS;
      if (typeof data === "string") this.#on.told(JSON.parse(data));
      // In the order in which they came: decoding takes longer for some than for others.
      // One that cannot be decoded is lost by itself; it is said in the browser's console.
      else this.#drawn = this.#drawn.then(() => this.#take(socket, data)).catch(console.error);
    };
    socket.onclose = ({ reason }) => {
      this.#on.lost(reason);
      setTimeout(() => this.#connect(), this.#wait);
      this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT_MS);
    };
  }

  async #take(socket, data) {
    const n = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, n)));
    const jpeg = new Blob([new Uint8Array(data, 4 + n)], { type: "image/jpeg" });
    if ("thumbnail" in head) {
      this.#on.thumbnail(head.thumbnail, jpeg);
      return;
    }
    try {
      const image = await createImageBitmap(jpeg);
      this.#on.picture(head, image);
      image.close();
    } finally {
      if (socket === this.#socket) this.say({ kind: "seen" });
    }
  }
}
