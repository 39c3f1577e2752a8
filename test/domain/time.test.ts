import t from 'tap';
import { formatSeconds } from '../../src/domain/time.ts';

t.test('a duration is printed in the largest unit that is exact, as people write it', async (t) => {
  const printed: [seconds: number, text: string][] = [
    [0, '0s'],
    [59, '59s'],
    [60, '1m'],
    [61, '61s'],
    [90, '90s'],
    [600, '10m'],
    [3599, '3599s'],
    [3600, '1h'],
    [5400, '90m'],
    [21_600, '6h'],
    [86_400, '1d'],
    [604_800, '7d'],
  ];
  for (const [seconds, text] of printed) t.equal(formatSeconds(seconds), text);
});
