// From values to places on a line: linear or logarithmic, with marks at round numbers.
function scale(values, log, from, to) {
  const finite = values.filter((value) => value !== null && (!log || value > 0));
  const bend = log ? Math.log10 : (value) => value;
  let low = Infinity;
  let high = -Infinity;
  for (const value of finite) {
    low = Math.min(low, bend(value));
    high = Math.max(high, bend(value));
  }
  if (!finite.length) [low, high] = [0, 1];
  const pad = high > low ? 0.04 * (high - low) : Math.max(0.1, Math.abs(high) * 0.1);
  low -= pad;
  high += pad;
  const place = (value) => from + ((bend(value) - low) / (high - low)) * (to - from);
  const room = Math.max(2, Math.floor(Math.abs(to - from) / 70));
  return { place, marks: log ? powers(low, high, room) : steps(low, high, room) };
}

function steps(low, high, room) {
  const rough = (high - low) / room;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const marks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1) marks.push(Number((i * step).toPrecision(12)));
  return marks;
}

// Powers of ten, or of them with 2 and 5 where there is room; over less than a decade the round numbers of a line.
function powers(low, high, room) {
  for (const factors of [[1, 2, 5], [1]]) {
    const marks = [];
    for (let power = Math.floor(low); power <= high; power += 1) {
      for (const factor of factors) {
        const mark = Number(`${factor}e${power}`);
        if (Math.log10(mark) >= low && Math.log10(mark) <= high) marks.push(mark);
      }
    }
    if (marks.length < 3) return steps(10 ** low, 10 ** high, room).filter((mark) => mark > 0);
    if (marks.length <= room + 1 || factors.length === 1) {
      const stride = Math.ceil(marks.length / (room + 1));
      return marks.filter((_, i) => i % stride === 0);
    }
  }
  return [];
}
