//! ISA-L, in C and assembler: what storage systems use.
//!
//! Its interface is that of a fixed code, so the tables of its coefficients are made beforehand
//! when it encodes or recodes; when it decodes they depend on what was lost, and are timed.

use std::ffi::{c_int, c_uchar};

use super::{Peer, Timed, combination, same};
use crate::work::{Buffers, Input, Operation, Run};

unsafe extern "C" {
    fn ec_init_tables(k: c_int, rows: c_int, matrix: *mut c_uchar, tables: *mut c_uchar);
    fn ec_encode_data(
        bytes: c_int,
        k: c_int,
        rows: c_int,
        tables: *mut c_uchar,
        sources: *mut *mut c_uchar,
        outputs: *mut *mut c_uchar,
    );
    fn gf_mul(a: c_uchar, b: c_uchar) -> c_uchar;
    fn gf_invert_matrix(matrix: *mut c_uchar, inverse: *mut c_uchar, n: c_int) -> c_int;
}

/// Bytes of the tables of one coefficient.
const TABLE_BYTES: usize = 32;

/// Writes the tables of a matrix of `k` columns.
fn init_tables(k: usize, matrix: &[u8], tables: &mut [u8]) {
    assert!(tables.len() == TABLE_BYTES * matrix.len() && matrix.len().is_multiple_of(k));
    let (matrix, rows) = (matrix.as_ptr().cast_mut(), (matrix.len() / k) as c_int);
    // SAFETY: the lengths were checked; the matrix is only read.
    unsafe { ec_init_tables(k as c_int, rows, matrix, tables.as_mut_ptr()) };
}

/// Writes the products of the matrix that the tables are of with the sources over the outputs.
fn encode_data(tables: &[u8], sources: &[&[u8]], outputs: &mut [Vec<u8>]) {
    let bytes = sources[0].len();
    assert!(tables.len() == TABLE_BYTES * sources.len() * outputs.len());
    assert!(sources.iter().all(|source| source.len() == bytes));
    assert!(outputs.iter().all(|output| output.len() == bytes));
    let mut from: Vec<*mut u8> = sources.iter().map(|s| s.as_ptr().cast_mut()).collect();
    let mut to: Vec<*mut u8> = outputs.iter_mut().map(Vec::as_mut_ptr).collect();
    let (k, rows, tables) = (from.len() as c_int, to.len() as c_int, tables.as_ptr().cast_mut());
    let (from, to) = (from.as_mut_ptr(), to.as_mut_ptr());
    // SAFETY: all slices are as long as was checked; tables and sources are only read.
    unsafe { ec_encode_data(bytes as c_int, k, rows, tables, from, to) };
}

/// Writes the inverse of a square matrix and destroys the matrix; returns whether there is one.
fn invert(matrix: &mut [u8], inverse: &mut [u8], n: usize) -> bool {
    assert!(matrix.len() == n * n && inverse.len() == n * n);
    // SAFETY: both are n by n, as was checked.
    unsafe { gf_invert_matrix(matrix.as_mut_ptr(), inverse.as_mut_ptr(), n as c_int) == 0 }
}

/// Returns the product in its field.
fn mul(a: u8, b: u8) -> u8 {
    // SAFETY: it takes and returns bytes, and touches no memory of ours.
    unsafe { gf_mul(a, b) }
}

pub(crate) struct IsaL;

impl Peer for IsaL {
    fn name(&self) -> &'static str {
        "isa-l"
    }

    fn is_rlnc_or_isal(&self) -> bool {
        true
    }

    fn prepare(
        &self,
        operation: Operation,
        input: &Input,
        buffers: Buffers,
    ) -> Option<Box<dyn Run>> {
        match operation {
            Operation::EncodeOne => encode(input, 1, buffers),
            Operation::EncodeK => encode(input, input.k, buffers),
            Operation::RecodeOne => recode(input, buffers),
            Operation::Decode => decode(input, 0, buffers),
            Operation::DecodeHalfSystematic => decode(input, input.k / 2, buffers),
        }
    }
}

/// Returns the products of the vectors of `matrix` with the fragments.
fn products(input: &Input, matrix: &[u8]) -> Vec<Vec<u8>> {
    let mut tables = vec![0; TABLE_BYTES * matrix.len()];
    init_tables(input.k, matrix, &mut tables);
    let fragments: Vec<&[u8]> = input.message.chunks(input.fragment_bytes).collect();
    let mut pieces = vec![vec![0; input.fragment_bytes]; matrix.len() / input.k];
    encode_data(&tables, &fragments, &mut pieces);
    pieces
}

/// Buffers for the outputs: those that are kept, or new ones.
fn room(kept: &mut Vec<Vec<u8>>, buffers: Buffers) {
    if buffers == Buffers::Fresh {
        let (count, bytes) = (kept.len(), kept[0].len());
        kept.clear();
        kept.resize_with(count, || vec![0; bytes]);
    }
}

struct Encode {
    matrix: Vec<u8>,
    tables: Vec<u8>,
    message: Vec<u8>,
    pieces: Vec<Vec<u8>>,
    buffers: Buffers,
}

fn encode(input: &Input, count: usize, buffers: Buffers) -> Option<Box<dyn Run>> {
    let matrix = &input.coefficients[..count * input.k];
    let mut tables = vec![0; TABLE_BYTES * matrix.len()];
    init_tables(input.k, matrix, &mut tables);
    let (message, pieces) = (input.message.clone(), products(input, matrix));
    let state = Encode { matrix: matrix.to_vec(), tables, message, pieces, buffers };
    let run = |state: &mut Encode| {
        room(&mut state.pieces, state.buffers);
        let fragments: Vec<&[u8]> = state.message.chunks(state.pieces[0].len()).collect();
        encode_data(&state.tables, &fragments, &mut state.pieces);
    };
    Some(Timed::boxed(state, run, |state| {
        let fragments: Vec<&[u8]> = state.message.chunks(state.pieces[0].len()).collect();
        let pieces = state.pieces.iter().zip(state.matrix.chunks(fragments.len()));
        pieces.into_iter().try_for_each(|(piece, row)| combination(piece, row, &fragments, mul))
    }))
}

struct Recode {
    tables: Vec<u8>,
    vectors: Vec<u8>,
    pieces: Vec<Vec<u8>>,
    coefficients: Vec<Vec<u8>>,
    recoded: Vec<Vec<u8>>,
    buffers: Buffers,
    message: Vec<u8>,
}

fn recode(input: &Input, buffers: Buffers) -> Option<Box<dyn Run>> {
    let (vectors, weights) = input.coefficients.split_at(input.k * input.k);
    let mut tables = vec![0; TABLE_BYTES * input.k];
    init_tables(input.k, &weights[..input.k], &mut tables);
    let state = Recode {
        tables,
        vectors: vectors.to_vec(),
        pieces: products(input, vectors),
        coefficients: vec![vec![0; input.k]],
        recoded: vec![vec![0; input.fragment_bytes]],
        buffers,
        message: input.message.clone(),
    };
    let run = |state: &mut Recode| {
        room(&mut state.coefficients, state.buffers);
        room(&mut state.recoded, state.buffers);
        let vectors: Vec<&[u8]> = state.vectors.chunks(state.pieces.len()).collect();
        encode_data(&state.tables, &vectors, &mut state.coefficients);
        let pieces: Vec<&[u8]> = state.pieces.iter().map(Vec::as_slice).collect();
        encode_data(&state.tables, &pieces, &mut state.recoded);
    };
    Some(Timed::boxed(state, run, |state| {
        let fragments: Vec<&[u8]> = state.message.chunks(state.recoded[0].len()).collect();
        combination(&state.recoded[0], &state.coefficients[0], &fragments, mul)
    }))
}

struct Decode {
    k: usize,
    systematic: usize,
    /// The vectors of the pieces.
    matrix: Vec<u8>,
    pieces: Vec<Vec<u8>>,
    /// What is overwritten while the matrix is inverted.
    scratch: Vec<u8>,
    inverse: Vec<u8>,
    tables: Vec<u8>,
    /// The fragments that were missing.
    decoded: Vec<Vec<u8>>,
    buffers: Buffers,
    message: Vec<u8>,
}

fn decode(input: &Input, systematic: usize, buffers: Buffers) -> Option<Box<dyn Run>> {
    let k = input.k;
    let mut matrix = vec![0; k * k];
    for index in 0..systematic {
        matrix[index * k + index] = 1;
    }
    // Its field is another one than ours, so vectors independent there need not be so here.
    let invertible = (0..k).any(|first| {
        let coded = &mut matrix[systematic * k..];
        coded.copy_from_slice(&input.coefficients[first * k..][..coded.len()]);
        invert(&mut matrix.clone(), &mut vec![0; k * k], k)
    });
    assert!(invertible, "no {k} independent vectors");
    let state = Decode {
        k,
        systematic,
        pieces: products(input, &matrix),
        scratch: vec![0; k * k],
        inverse: vec![0; k * k],
        tables: vec![0; TABLE_BYTES * k * (k - systematic)],
        decoded: vec![vec![0; input.fragment_bytes]; k - systematic],
        matrix,
        buffers,
        message: input.message.clone(),
    };
    let run = |state: &mut Decode| {
        let Decode { k, systematic, scratch, inverse, tables, decoded, .. } = state;
        room(decoded, state.buffers);
        scratch.copy_from_slice(&state.matrix);
        assert!(invert(scratch, inverse, *k), "it was invertible");
        init_tables(*k, &inverse[*systematic * *k..], tables);
        let pieces: Vec<&[u8]> = state.pieces.iter().map(Vec::as_slice).collect();
        encode_data(tables, &pieces, decoded);
    };
    Some(Timed::boxed(state, run, |state| {
        let missing = state.systematic * state.pieces[0].len();
        same(&state.decoded.concat(), &state.message[missing..])
    }))
}
