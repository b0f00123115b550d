// From values to places on a line: linear or logarithmic, with marks at round numbers.
const LEAST_SPAN = 1e-9; // of a value: closer ones differ by rounding only, and there is no round number between them

function scale(values, log, from, to) {
  const bend = log ? Math.log10 : (value) => value;
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, bend(value));
    high = Math.max(high, bend(value));
  }
  if (!values.length) [low, high] = [0, 1];
  const size = log ? 1 : Math.max(Math.abs(low), Math.abs(high));
  const pad = high - low > LEAST_SPAN * size ? 0.04 * (high - low) : 0.1 * size || 1;
  low -= pad;
  high += pad;
  const place = (value) => from + ((bend(value) - low) / (high - low)) * (to - from);
  const room = Math.max(2, Math.floor(Math.abs(to - from) / 70));
  return { place, marks: log ? powers(low, high, room) : steps(low, high, room) };
}

// Marks {value, text} at equal distances of 1, 2 or 5 times a power of ten.
function steps(low, high, room) {
  const rough = (high - low) / room;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? 10 * power;
  const digits = Math.min(20, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  const style = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const marks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1) {
    marks.push({ value: i * step, text: (i * step).toLocaleString("en", style) });
  }
  return marks;
}

// Powers of ten, with 2 and 5 times them where there is room; over less than a decade the round numbers of a line.
function powers(low, high, room) {
  const within = (factors) => {
    const marks = [];
    for (let power = Math.floor(low); power <= high; power += 1) {
      for (const factor of factors) {
        const value = Number(`${factor}e${power}`);
        if (Math.log10(value) >= low && Math.log10(value) <= high) marks.push({ value, text: number(value) });
      }
    }
    return marks;
  };
  const fine = within([1, 2, 5]);
  if (fine.length < 3) return steps(10 ** low, 10 ** high, room).filter((mark) => mark.value > 0);
  if (fine.length <= room + 1) return fine;
  const coarse = within([1]);
  const stride = Math.ceil(coarse.length / (room + 1));
  return coarse.filter((_, i) => i % stride === 0);
}
