// Microphone samples at the device's rate -> chunks of 16 kHz 16-bit mono samples.
// A windowed-sinc low-pass, evaluated at each output sample: any device rate works.
const OUT_RATE_HZ = 16000;
const CHUNK = 1600; // samples, 100 ms: ten messages a second also move the level meter smoothly
const ZERO_CROSSINGS = 12; // on each side; stop band below -60 dB, under 1 ms of delay

class Resampler {
  constructor(inRateHz) {
    this.step = inRateHz / OUT_RATE_HZ; // input samples per output sample
    this.cutoff = Math.min(1, 1 / this.step) * 0.94; // of the input's Nyquist frequency
    this.reach = Math.ceil(ZERO_CROSSINGS / this.cutoff);
    this.input = new Float32Array(2 * this.reach);
    this.position = this.reach; // of the next output sample, within this.input
  }

  kernel(distance) {
    const window = 0.5 + 0.5 * Math.cos((Math.PI * distance) / this.reach);
    const x = Math.PI * this.cutoff * distance;
    return this.cutoff * window * (x === 0 ? 1 : Math.sin(x) / x);
  }

  at(position) {
    const first = Math.ceil(position - this.reach);
    let sum = 0;
    for (let i = first; i < position + this.reach; i++) {
      sum += this.input[i] * this.kernel(i - position);
    }
    return sum;
  }

  push(samples) {
    const input = new Float32Array(this.input.length + samples.length);
    input.set(this.input);
    input.set(samples, this.input.length);
    this.input = input;
    const out = [];
    while (this.position + this.reach < input.length) {
      out.push(this.at(this.position));
      this.position += this.step;
    }
    const used = Math.max(0, Math.floor(this.position) - this.reach);
    this.input = input.slice(used);
    this.position -= used;
    return out;
  }
}

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate);
    this.pending = [];
    this.isOver = false;
    this.port.onmessage = () => {
      this.isOver = true;
      this.flush(true);
    };
  }

  process([channels]) {
    if (this.isOver) return false;
    if (channels.length > 0) this.pending.push(...this.resampler.push(channels[0]));
    if (this.pending.length >= CHUNK) this.flush(false);
    return true;
  }

  flush(isLast) {
    const pcm = new DataView(new ArrayBuffer(2 * this.pending.length));
    let energy = 0;
    this.pending.forEach((sample, i) => {
      energy += sample * sample;
      pcm.setInt16(2 * i, Math.max(-1, Math.min(1, sample)) * 32767, true);
    });
    const loudness = this.pending.length ? Math.sqrt(energy / this.pending.length) : 0;
    this.pending = [];
    this.port.postMessage({ pcm: pcm.buffer, loudness, isLast }, [pcm.buffer]);
  }
}

registerProcessor("triad-capture", Capture);
