import MIL
import Testing

/// An argument of a case: a tensor that arrives at run time, several of them, or a constant.
enum Given: Sendable {
    case input([Int], DataType = .float32)
    case list([[Int]])
    case ints([Int])
    case int(Int)
    case bools([Bool])
    case bool(Bool)
    case float(Float)
    case text(String)
    case constant(Tensor)
}

/// Output types of one op applied to arguments; its expansion, where it has one, must agree with them.
func inferred(_ op: String, _ arguments: KeyValuePairs<String, Given>) throws -> [TensorType] {
    var function = Function()
    let bound = arguments.map { name, given -> Argument in
        switch given {
        case .input(let shape, let dtype): Argument(name, [function.input(name, .tensor(TensorType(dtype, shape)))])
        case .list(let shapes): Argument(name, shapes.map { function.input(name, .tensor(TensorType(.float32, $0))) })
        case .ints(let values): Argument(name, [function.constant(Tensor(values.map(Int64.init)), name: name)])
        case .int(let value): Argument(name, [function.constant(Tensor(Int64(value)), name: name)])
        case .bools(let values): Argument(name, [function.constant(Tensor(values), name: name)])
        case .bool(let value): Argument(name, [function.constant(Tensor(value), name: name)])
        case .float(let value): Argument(name, [function.constant(Tensor(value), name: name)])
        case .text(let text): Argument(name, [function.constant(Tensor(text), name: name)])
        case .constant(let tensor): Argument(name, [function.constant(tensor, name: name)])
        }
    }
    let types = try function.append(Operation(op, bound, outputs: []), name: "y").map(function.tensorType)
    let call = try Call(try #require(function.operations.last), in: function)
    if let expansion = call.op.expansion {
        var expanded = function
        let results = try expansion(call, &expanded)
        #expect(try results.map(expanded.tensorType) == types, "the expansion of \(op)")
    }
    return types
}

func shapes(_ op: String, _ arguments: KeyValuePairs<String, Given>) throws -> [[Int]] {
    try inferred(op, arguments).map(\.shape)
}

@Suite struct TableTests {
    @Test(arguments: OpTable.rows.map(\.name)) func everythingHasWords(name: String) throws {
        let op = try #require(OpTable[name])
        #expect(!op.words.isEmpty)
        #expect(Set(op.parameters.map(\.name)).count == op.parameters.count)
        for parameter in op.parameters {
            #expect(!parameter.words.isEmpty, "\(name).\(parameter.name)")
            #expect(!parameter.dtypes.isEmpty, "\(name).\(parameter.name)")
            if let value = parameter.defaultValue {
                #expect(parameter.dtypes.contains(value.dtype), "\(name).\(parameter.name)")
            }
        }
    }

    @Test func namesAreUnique() { #expect(Set(OpTable.rows.map(\.name)).count == OpTable.rows.count) }
}

/// Expected shapes come from the type inference of coremltools 9.0.
@Suite struct InferenceTests {
    @Test func reductions() throws {
        #expect(try shapes("reduce_sum", ["x": .input([2, 3, 4]), "axes": .ints([-1, 0])]) == [[3]])
        #expect(try shapes("reduce_l2_norm", ["x": .input([2, 3], .int32), "keep_dims": .bool(true)]) == [[1, 1]])
        #expect(try shapes("reduce_log_sum_exp", ["x": .input([2, 3])]) == [[]])
        let positions = try inferred("reduce_argmax", ["x": .input([2, 3]), "output_dtype": .text("uint16")])
        #expect(positions == [TensorType(.uint16, [2])])
    }

    @Test func products() throws {
        #expect(try shapes("linear", ["x": .input([2, 3, 4]), "weight": .input([5, 4])]) == [[2, 3, 5]])
        #expect(
            try shapes(
                "matmul",
                [
                    "x": .input([5, 1, 2, 3]), "y": .input([4, 3, 2]), "transpose_x": .bool(true),
                    "transpose_y": .bool(true),
                ]) == [[5, 4, 3, 3]])
        #expect(try shapes("matmul", ["x": .input([3]), "y": .input([3, 4])]) == [[4]])
        #expect(try shapes("matmul", ["x": .input([2, 4, 3]), "y": .input([3])]) == [[2, 4]])
        #expect(try shapes("matmul", ["x": .input([3]), "y": .input([3])]) == [[]])
        #expect(
            try shapes(
                "einsum", ["values": .list([[2, 3, 4, 5], [2, 5, 4, 6]]), "equation": .text("nchw,nwhu->nchu")]) == [
                    [2, 3, 4, 6]
                ])
        #expect(try shapes("einsum", ["values": .list([[3, 4], [4]]), "equation": .text("ab,b->a")]) == [[3]])
        let mixed = try inferred(
            "matmul",
            ["x": .input([2, 3], .float16), "y": .constant(Tensor([Float](repeating: 1, count: 12), shape: [3, 4]))])
        #expect(mixed == [TensorType(.float16, [2, 4])])
    }

    @Test func convolutions() throws {
        let x = Given.input([1, 4, 9, 10])
        let weight = Given.input([6, 2, 3, 2])
        #expect(try shapes("conv", ["x": x, "weight": weight, "groups": .int(2)]) == [[1, 6, 7, 9]])
        #expect(
            try shapes(
                "conv",
                ["x": x, "weight": weight, "groups": .int(2), "strides": .ints([2, 3]), "pad_type": .text("same")]) == [
                    [1, 6, 5, 4]
                ])
        #expect(
            try shapes(
                "conv",
                [
                    "x": x, "weight": weight, "groups": .int(2), "dilations": .ints([2, 1]),
                    "pad_type": .text("custom"),
                    "pad": .ints([1, 0, 2, 2]),
                ]) == [[1, 6, 6, 13]])
        #expect(
            try shapes(
                "conv_transpose", ["x": .input([1, 4, 5]), "weight": .input([4, 3, 4]), "strides": .ints([2])]) == [
                    [1, 3, 12]
                ])
        #expect(
            try shapes(
                "conv_transpose",
                [
                    "x": .input([1, 4, 5]), "weight": .input([4, 3, 4]), "strides": .ints([2]),
                    "pad_type": .text("same"),
                ]) == [[1, 3, 10]])
        #expect(
            try shapes(
                "conv_transpose",
                [
                    "x": .input([1, 4, 5]), "weight": .input([4, 3, 4]), "strides": .ints([2]),
                    "pad_type": .text("custom"),
                    "pad": .ints([1, 1]), "output_shape": .ints([1, 3, 11]),
                ]) == [[1, 3, 11]])
    }

    @Test func pads() throws {
        let same = try Window(
            input: [9, 10], kernel: [4, 3], strides: [2, 3], dilations: [1, 2], padType: "same", pad: [0, 0, 0, 0])
        #expect(same.output == [5, 4])
        #expect(same.padsBefore == [1, 2])
        #expect(same.padsAfter == [2, 2])
        let lower = try Window(
            input: [9], kernel: [4], strides: [2], dilations: [1], padType: "same_lower", pad: [0, 0])
        #expect(lower.padsBefore == [2] && lower.padsAfter == [1])
    }

    @Test func poolings() throws {
        let common: (String, Bool) -> KeyValuePairs<String, Given> = { padType, ceiling in
            [
                "x": .input([1, 2, 8]), "kernel_sizes": .ints([3]), "strides": .ints([2]), "pad_type": .text(padType),
                "pad": .ints([1, 1]), "ceil_mode": .bool(ceiling),
            ]
        }
        #expect(try shapes("max_pool", common("custom", false)) == [[1, 2, 4]])
        #expect(try shapes("max_pool", common("custom", true)) == [[1, 2, 5]])
        #expect(try shapes("avg_pool", common("valid", true)) == [[1, 2, 4]])
        #expect(try shapes("l2_pool", common("same", false)) == [[1, 2, 4]])
    }

    @Test func sequences() throws {
        let ones = { (shape: [Int]) in
            Given.constant(Tensor([Float](repeating: 1, count: shape.reduce(1, *)), shape: shape))
        }
        let both = try shapes(
            "lstm",
            [
                "x": .input([7, 2, 3]), "initial_h": .input([2, 8]), "initial_c": .input([2, 8]),
                "weight_ih": ones([16, 3]),
                "weight_hh": ones([16, 4]), "weight_ih_back": ones([16, 3]), "weight_hh_back": ones([16, 4]),
                "direction": .text("bidirectional"), "output_sequence": .bool(true),
            ])
        #expect(both == [[7, 2, 8], [2, 8], [2, 8]])
        let gru = try shapes(
            "gru",
            [
                "x": .input([7, 2, 3]), "initial_h": .input([2, 4]), "weight_ih": ones([12, 3]),
                "weight_hh": ones([12, 4]),
            ])
        #expect(gru == [[1, 2, 4], [2, 4]])
        let attention = try shapes(
            "scaled_dot_product_attention",
            [
                "query": .input([1, 2, 5, 8]), "key": .input([1, 2, 6, 8]), "value": .input([1, 2, 6, 3]),
                "attn_mask": .input([5, 6], .bool),
            ])
        #expect(attention == [[1, 2, 5, 3]])
    }

    @Test func reshapes() throws {
        let x = Given.input([2, 3, 4])
        #expect(try shapes("reshape", ["x": x, "shape": .ints([0, -1])]) == [[3, 8]])
        #expect(try shapes("reshape", ["x": x, "shape": .ints([0, 0, 0])]) == [[2, 3, 4]])
        #expect(try shapes("expand_dims", ["x": x, "axes": .ints([0, -1])]) == [[1, 2, 3, 4, 1]])
        #expect(try shapes("squeeze", ["x": .input([1, 2, 1]), "axes": .ints([0])]) == [[2, 1]])
        #expect(try shapes("squeeze", ["x": .input([1, 2, 1])]) == [[2]])
        #expect(try shapes("flatten2d", ["x": x, "axis": .int(-1)]) == [[6, 4]])
        #expect(try shapes("transpose", ["x": x, "perm": .ints([2, 0, -2])]) == [[4, 2, 3]])
        #expect(try shapes("concat", ["values": .list([[2, 3], [2, 5]]), "axis": .int(-1)]) == [[2, 8]])
        #expect(try shapes("stack", ["values": .list([[2, 3], [2, 3]]), "axis": .int(-1)]) == [[2, 3, 2]])
        #expect(
            try shapes("split", ["x": .input([2, 6]), "num_splits": .int(3), "axis": .int(1)]) == [
                [2, 2], [2, 2], [2, 2],
            ])
        #expect(
            try shapes("split", ["x": .input([2, 6]), "split_sizes": .ints([1, 5]), "axis": .int(-1)]) == [
                [2, 1], [2, 5],
            ])
        #expect(try shapes("pad", ["x": x, "pad": .ints([1, 2, 0, 3]), "mode": .text("replicate")]) == [[2, 6, 7]])
        #expect(
            try shapes(
                "space_to_batch",
                ["x": .input([2, 3, 4, 6]), "block_shape": .ints([2, 3]), "paddings": .ints([1, 1, 0, 3])]) == [
                    [12, 3, 3, 3]
                ])
        #expect(
            try shapes("pixel_shuffle", ["x": .input([1, 18, 3, 2]), "upscale_factor": .int(3)]) == [[1, 2, 9, 6]])
        #expect(try shapes("range_1d", ["end": .float(1), "start": .float(0), "step": .float(0.3)]) == [[4]])
        #expect(
            try inferred(
                "one_hot", ["indices": .input([2, 3], .int32), "one_hot_vector_size": .int(5), "axis": .int(1)]) == [
                    TensorType(.int32, [2, 5, 3])
                ])
    }

    @Test func slices() throws {
        let x = Given.input([5, 7])
        #expect(
            try shapes(
                "slice_by_index", ["x": x, "begin": .ints([-4, 6]), "end": .ints([-1, 0]), "stride": .ints([2, -3])])
                == [[2, 2]])
        #expect(
            try shapes(
                "slice_by_index",
                [
                    "x": x, "begin": .ints([2, 3]), "end": .ints([0, 0]), "begin_mask": .bools([false, true]),
                    "end_mask": .bools([true, true]), "squeeze_mask": .bools([true, false]),
                ]) == [[7]])
        #expect(
            try shapes(
                "slice_by_index",
                [
                    "x": x, "begin": .input([2], .int32), "end": .input([2], .int32),
                    "begin_mask": .bools([false, true]),
                    "end_mask": .bools([false, true]), "squeeze_mask": .bools([true, false]),
                ]) == [[7]])
        let bounds = try SliceBounds([5, 7], begin: [-4, 6], end: [-1, 0], stride: [2, -3])
        #expect(bounds.begin == [1, 6] && bounds.stride == [2, -3] && bounds.length == [2, 2])
        #expect(try shapes("slice_by_size", ["x": x, "begin": .ints([1, 2]), "size": .ints([3, -1])]) == [[3, 5]])
        #expect(
            try shapes(
                "slice_update", ["x": x, "update": .input([2, 7]), "begin": .ints([1, 0]), "end": .ints([3, 7])]) == [
                    [5, 7]
                ])
    }

    @Test func indexing() throws {
        #expect(
            try shapes(
                "gather",
                ["x": .input([2, 3, 4]), "indices": .input([2, 5], .int32), "axis": .int(1), "batch_dims": .int(1)])
                == [[2, 5, 4]])
        #expect(try shapes("gather_nd", ["x": .input([2, 3, 4]), "indices": .input([6, 2], .int32)]) == [[6, 4]])
        #expect(
            try shapes(
                "scatter_nd",
                ["data": .input([2, 3, 4]), "indices": .input([6, 2], .int32), "updates": .input([6, 4])]) == [
                    [2, 3, 4]
                ])
        #expect(try shapes("topk", ["x": .input([2, 5]), "k": .int(3)]) == [[2, 3], [2, 3]])
        #expect(try shapes("argsort", ["x": .input([2, 5])]) == [[2, 5]])
        // How many there are, the elements tell.
        #expect(try shapes("non_zero", ["x": .input([2, 5])]) == [[-1, 2]])
        #expect(try shapes("masked_select", ["x": .input([2, 5]), "mask": .input([2, 5], .bool)]) == [[-1]])
        #expect(try shapes("unique", ["x": .input([2, 5], .int64)]) == [[-1], [-1], [2, 5], [-1]])
    }

    @Test func images() throws {
        #expect(
            try shapes(
                "upsample_bilinear",
                ["x": .input([1, 3, 5]), "scale_factor_height": .float(1.5), "scale_factor_width": .float(1.4)]) == [
                    [1, 4, 7]
                ])
        #expect(
            try shapes("resize", ["x": .input([1, 2, 3, 4]), "shape": .ints([1, 0, 8]), "resized_dims": .int(2)]) == [
                [1, 2, 3, 8]
            ])
        #expect(
            try shapes("crop", ["x": .input([1, 6, 7]), "crop_height": .ints([1, 2]), "crop_width": .ints([0, 3])]) == [
                [1, 3, 4]
            ])
    }

    @Test func compression() throws {
        let scale = Given.constant(Tensor([Float](repeating: 1, count: 6), shape: [2, 3]))
        #expect(
            try shapes("constexpr_blockwise_shift_scale", ["data": .input([4, 6], .int8), "scale": scale]) == [[4, 6]])
        #expect(
            try shapes(
                "constexpr_lut_to_dense",
                ["indices": .input([3], .uint8), "lut": .input([16]), "shape": .ints([2, 3])]) == [[2, 3]])
    }
}

@Suite struct BadValueTests {
    /// The failure that an op gives for arguments.
    private func failure(_ op: String, _ arguments: KeyValuePairs<String, Given>) throws -> Failure {
        try #require(throws: Failure.self) { try inferred(op, arguments) }
    }

    @Test func sayWhatIsWrong() throws {
        #expect(try failure("reduce_sum", ["x": .input([2, 3]), "axes": .ints([2])]).kind == .outOfRange)
        #expect(try failure("matmul", ["x": .input([2, 3]), "y": .input([4, 5])]).message.contains("3 columns"))
        #expect(try failure("reshape", ["x": .input([6]), "shape": .input([2], .int32)]).kind == .unsupported)
        #expect(try failure("reshape", ["x": .input([6]), "shape": .ints([4, -1])]).kind == .invalidArgument)
        #expect(
            try failure("conv", ["x": .input([1, 3, 8]), "weight": .input([4, 2, 3])]).message.contains("channels"))
        #expect(
            try failure("split", ["x": .input([5]), "num_splits": .int(2), "axis": .int(0)]).kind == .invalidArgument)
        #expect(try failure("topk", ["x": .input([2, 5]), "k": .int(6)]).kind == .outOfRange)
        #expect(
            try failure("masked_select", ["x": .input([2, 5]), "mask": .input([5], .bool)]).kind == .invalidArgument)
        #expect(try failure("matmul", ["x": .input([2, 3]), "y": .input([4])]).message.contains("3 columns"))
        #expect(try failure("fill", ["shape": .ints([1 << 30, 1 << 30, 1 << 30])]).kind == .outOfMemory)
        #expect(try failure("tile", ["x": .input([1 << 30]), "reps": .ints([1 << 30])]).kind == .outOfMemory)
    }

    /// Every op meets arguments of the right parameter names and wild shapes and numbers: it may refuse them, and never traps.
    @Test(arguments: OpTable.rows.map(\.name)) func nothingTraps(name: String) throws {
        let op = try #require(OpTable[name])
        var random = Xorshift(seed: UInt64(name.utf8.reduce(7) { $0 &* 31 &+ Int($1) }.magnitude))
        for _ in 0..<150 {
            var function = Function()
            var arguments: [Argument] = []
            for parameter in op.parameters where !parameter.isOptional || random.below(2) == 0 {
                let count = parameter.isList ? random.below(4) : 1
                arguments.append(Argument(parameter.name, (0..<count).map { _ in random.value(parameter, &function) }))
            }
            let operation = Operation(name, arguments, outputs: [])
            guard (try? function.append(operation, name: "y")) != nil else { continue }
            let call = try Call(try #require(function.operations.last), in: function)
            if let expansion = call.op.expansion { _ = try? expansion(call, &function) }
        }
    }
}

/// A small generator, so that every run of the tests sees the same numbers.
private struct Xorshift {
    private var state: UInt64

    init(seed: UInt64) { state = seed | 1 }

    mutating func below(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(bound))
    }

    mutating func value(_ parameter: Op.Parameter, _ function: inout Function) -> ValueID {
        let dtypes = DataType.allCases.filter(parameter.dtypes.contains)
        let dtype = dtypes[below(dtypes.count)]
        let wild = below(4) == 0
        if !parameter.isConstant && below(3) > 0 {
            let sizes = wild ? [0, 1, 2, 1 << 31, 1 << 62, Int.max, -1] : [1, 1, 2, 2, 4]
            let shape = (0..<below(6)).map { _ in sizes[below(sizes.count)] }
            return function.input(parameter.name, .tensor(TensorType(dtype, shape)))
        }
        let count = below(3) == 0 ? 1 : below(7)
        let shape = count == 1 && below(2) == 0 ? [] : [count]
        switch dtype {
        case .string:
            let words = [
                "valid", "same", "same_lower", "custom", "constant", "reflect", "int32", "fp32", "update", "ab,bc->ac",
                ",->", "ä", "",
            ]
            return function.constant(
                Tensor(strings: (0..<count).map { _ in words[below(words.count)] }, shape: shape), name: "c")
        case .bool: return function.constant(Tensor((0..<count).map { _ in below(2) == 0 }, shape: shape), name: "c")
        case .int64:
            let numbers: [Int64] = wild ? [.min, .max, 1 << 31, 1 << 32, -1, 0, 1] : [0, 1, 2, 3, -1]
            return function.constant(
                Tensor((0..<count).map { _ in numbers[below(numbers.count)] }, shape: shape), name: "c")
        case .uint64:
            return function.constant(
                Tensor((0..<count).map { _ in [UInt64.max, 0, 1, 2][below(4)] }, shape: shape), name: "c")
        case .float16, .float32, .float64:
            let numbers = wild ? [Double.nan, .infinity, -.infinity, 1e300, -1, 0] : [0, 0.5, 1, 2]
            return function.constant(
                Tensor((0..<count).map { _ in numbers[below(numbers.count)] }, dtype: dtype, shape: shape), name: "c")
        case .complex64, .complex128:
            return function.constant(
                Tensor((0..<count).map { _ in Double(below(3)) }, dtype: dtype, shape: shape), name: "c")
        default:
            let numbers = wild ? [-2_147_483_648.0, 2_147_483_647, -1, 0, 1, 255] : [0, 1, 1, 2, 3, -1]
            return function.constant(
                Tensor((0..<count).map { _ in numbers[below(numbers.count)] }, dtype: dtype, shape: shape), name: "c")
        }
    }
}
