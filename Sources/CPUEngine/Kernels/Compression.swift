import CKernels
import MIL

// Compression: stored weights laid out as they are meant. Their operands are constants, so folding runs each once.

extension CPUKernels {
    static let compression: [Kernel] = [
        Kernel(name: "constexpr_lut_to_dense") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let shape = try lowerer.function.tensorType(id).shape
            var indices = try lowerer.dense(call.id("indices"), for: call)
            let lut = try lowerer.dense(call.id("lut"), for: call)
            guard call.has("shape") else {
                return lowerer.define(
                    id, try entries(lut, indices, axis: try vectorAxis(call, indices.rank), shape, call, lowerer))
            }
            let bits = lut.shape[0].trailingZeroBitCount
            indices = unpacked(indices, bits: bits, count: shape.reduce(1, *), call, lowerer)
            let flat = try entries(lut.reshaped([1, lut.shape[0], 1])!, indices, axis: 0, indices.shape, call, lowerer)
            lowerer.define(id, flat.reshaped(shape)!)
        },
        Kernel(name: "constexpr_sparse_to_dense") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let shape = try lowerer.function.tensorType(id).shape
            var mask = try lowerer.dense(call.id("mask"), for: call)
            if call.has("shape") { mask = unpacked(mask, bits: 1, count: shape.reduce(1, *), call, lowerer) }
            let data = try lowerer.dense(call.id("nonzero_data"), for: call)
            lowerer.define(id, spread(data, mask, call, lowerer).reshaped(shape)!)
        },
        Kernel(name: "constexpr_lut_to_sparse") { call, lowerer, _ in
            let outputs = call.operation.outputs
            let mask = try lowerer.dense(call.id("indices_mask"), for: call)
            let lut = try lowerer.dense(call.id("lut"), for: call)
            let axis = try vectorAxis(call, mask.rank)
            let vector = lut.shape[lut.rank - 1]
            let indices = spread(try lowerer.dense(call.id("indices_nonzero_data"), for: call), mask, call, lowerer)
            let shape = try lowerer.function.tensorType(outputs[0]).shape
            let values = try entries(lut, indices.reshaped(mask.shape)!, axis: axis, shape, call, lowerer)
            // Each position of the mask stands for a vector along the axis.
            var repeated = mask.inserting([axis + 1], rank: mask.rank + 1)
            repeated.shape[axis + 1] = vector
            let wide = repeated.reshaped(shape) ?? lowerer.dense(repeated, for: call).reshaped(shape)!
            let room = lowerer.allocate(try lowerer.function.tensorType(outputs[1]).shape, values.dtype)
            let dense = lowerer.dense(wide, for: call)
            let (size, count, most) = (Int32(values.dtype.size), Int64(dense.count), Int64(room.count))
            let place = call.place
            lowerer.emit(
                call, kernel: "collect", reason: "where the mask is set", output: outputs[1], reads: [dense, values],
                writes: [room]
            ) { frame in
                let set = mk_collect(
                    size, count, frame[dense].assumingMemoryBound(to: UInt8.self), most, frame[values], frame[room])
                try check(set, most, place)
            }
            lowerer.define(outputs[0], wide)
            lowerer.define(outputs[1], room)
        },
        Kernel(name: "constexpr_sparse_blockwise_shift_scale") { call, lowerer, _ in
            let outputs = call.operation.outputs
            let mask = try lowerer.dense(call.id("data_mask"), for: call)
            let (data, scale) = (try lowerer.numbers("nonzero_data", call), try lowerer.numbers("scale", call))
            let offset = try call.has("offset") ? lowerer.numbers("offset", call) : nil
            let output = lowerer.allocate(data.shape, .float32)
            let shape = mask.shape.map(Int64.init)
            let block = zip(mask.shape, scale.shape).map { Int64($0 / max($1, 1)) }
            try checkRank(mask.rank)
            lowerer.emit(
                call, kernel: "scale", reason: "block by block", output: outputs[1],
                reads: [mask, data, scale] + (offset.map { [$0] } ?? []),
                writes: [output]
            ) { frame in
                mk_scale_sparse(
                    Int32(shape.count), shape, block, frame[mask].assumingMemoryBound(to: UInt8.self),
                    frame.floats(scale),
                    offset.map { frame.floats($0) }, Int64(data.count), frame.floats(data), frame.floats(output))
            }
            lowerer.define(outputs[0], mask)
            lowerer.define(
                outputs[1], try lowerer.converted(output, to: lowerer.function.tensorType(outputs[1]).dtype, for: call))
        },
    ]

    private static func vectorAxis(_ call: Call, _ rank: Int) throws -> Int {
        try call.has("vector_axis") ? call.axis("vector_axis", rank: rank) : rank - 1
    }

    private static func checkRank(_ rank: Int) throws {
        guard rank <= MK_COPY_RANK else {
            throw Failure(
                .unsupported,
                "A tensor of rank \(rank) is more than the kernels for compressed weights take (\(MK_COPY_RANK)).")
        }
    }

    private static func check(_ set: Int64, _ stored: Int64, _ place: String) throws {
        guard set == stored else {
            throw Failure(
                .invalidArgument,
                "The mask sets \(set) elements; \(stored) are stored, and there must be as many."
            ).at(operation: place)
        }
    }

    /// Packed numbers of a few bits, a byte each.
    private static func unpacked(_ packed: View, bits: Int, count: Int, _ call: Call, _ lowerer: Lowerer) -> View {
        let output = lowerer.allocate([count], .uint8)
        lowerer.emit(call, kernel: "unpack", reason: "\(bits) bits each", reads: [packed], writes: [output]) { frame in
            mk_unpack_bits(
                Int32(bits), Int64(count), frame[packed].assumingMemoryBound(to: UInt8.self),
                frame[output].assumingMemoryBound(to: UInt8.self))
        }
        return output
    }

    /// The entries of tables at the indices.
    private static func entries(
        _ lut: View, _ indices: View, axis: Int, _ shape: [Int], _ call: Call, _ lowerer: Lowerer
    ) throws -> View {
        try checkRank(indices.rank)
        let output = lowerer.allocate(shape, lut.dtype)
        let sizes = indices.shape.map(Int64.init)
        let block = zip(indices.shape, lut.shape).map { Int64($0 / max($1, 1)) }
        let (count, vector) = (lut.shape[lut.rank - 2], lut.shape[lut.rank - 1])
        let (size, place) = (Int32(lut.dtype.size), call.place)
        lowerer.emit(call, kernel: "lookup", reason: "entries of a table", reads: [indices, lut], writes: [output]) {
            frame in
            let positions = frame[indices].assumingMemoryBound(to: UInt8.self)
            let bad = sizes.withUnsafeBufferPointer { sizes in
                block.withUnsafeBufferPointer { block in
                    var tables = mk_tables(
                        rank: Int32(sizes.count), shape: sizes.baseAddress, block: block.baseAddress,
                        entries: Int64(count),
                        vector: Int64(vector), values: UnsafeRawPointer(frame[lut]))
                    return mk_lookup(size, &tables, Int32(axis), positions, frame[output])
                }
            }
            if bad >= 0 {
                throw Failure(
                    .outOfRange, "The index \(positions[Int(bad)]) is not an entry of a table of \(count)."
                ).at(operation: place)
            }
        }
        return output
    }

    /// Elements set where a mask says, in a row.
    private static func spread(_ data: View, _ mask: View, _ call: Call, _ lowerer: Lowerer) -> View {
        let output = lowerer.allocate([mask.count], data.dtype)
        let (size, count, stored, place) = (Int32(data.dtype.size), Int64(mask.count), Int64(data.count), call.place)
        lowerer.emit(call, kernel: "spread", reason: "where the mask is set", reads: [data, mask], writes: [output]) {
            frame in
            let set = mk_spread(
                size, count, frame[mask].assumingMemoryBound(to: UInt8.self), stored, frame[data], frame[output])
            try check(set, stored, place)
        }
        return output
    }
}
