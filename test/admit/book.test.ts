import t from 'tap';
import { asWritten, readBook, writeBook } from '../../src/admit/book.ts';
import { APPLIED_ANNOTATION } from '../../src/domain/workload.ts';
import { container } from './objects.ts';

const carrying = (text: unknown) => ({ metadata: { annotations: { [APPLIED_ANNOTATION]: text } } });

t.test('what is written is read back, and writing it again gives the same text', async (t) => {
  const book = new Map([
    ['function', { request: { set: '224Mi', was: '256Mi' }, limit: { set: '336Mi', was: null } }],
    ['__proto__', { limit: { set: '1Gi', was: 5 } }],
  ]);
  const text = writeBook(book);
  t.strictSame(readBook(carrying(text)), book);
  t.equal(writeBook(readBook(carrying(text)) ?? new Map()), text);
});

t.test('a book with nothing in it is not written', async (t) => {
  t.equal(writeBook(new Map()), undefined);
  t.equal(writeBook(new Map([['function', {}]])), undefined);
});

t.test('an object without the annotation, or with one that is no book, has none', async (t) => {
  for (const object of [
    undefined,
    null,
    {},
    { metadata: null },
    carrying(7),
    carrying('{'),
    carrying('[]'),
    carrying('"x"'),
  ]) {
    t.equal(readBook(object), undefined);
  }
});

t.test('entries that cannot be read count as absent', async (t) => {
  const text = JSON.stringify({ a: null, b: { request: 'x', limit: { set: 1 } }, c: { request: { set: '1Gi' } } });
  t.strictSame(
    readBook(carrying(text)),
    new Map([
      ['a', {}],
      ['b', {}],
      ['c', { request: { set: '1Gi', was: null } }],
    ]),
  );
});

t.test('a value of ours reads as what stood there before, however the server spells it', async (t) => {
  const entries = { request: { set: '0.25Gi', was: '300Mi' }, limit: { set: '1024Mi', was: null } };
  t.strictSame(asWritten(container('function', '256Mi', '1Gi'), entries), { request: '300Mi' });
  t.strictSame(asWritten(container('function', '257Mi', '2Gi'), entries), { request: '257Mi', limit: '2Gi' });
  t.strictSame(asWritten(container('function'), entries), {});
  t.strictSame(asWritten(container('function', '256Mi')), { request: '256Mi' });
});
