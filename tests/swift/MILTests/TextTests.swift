import Testing

@testable import MIL

/// Text as Core ML's compiler writes it, in the older and the newer form.
private let compiled = """
    program(1.0)
    [buildInfo = dict<tensor<string, []>, tensor<string, []>>({{"coremlc-component-MIL", "3404.16.1"}})]
    {
        func main<ios16>(tensor<fp16, [1, 10]> a, tensor<fp16, [1, ?]> b) [FlexibleShapeInformation = tuple<tuple<tensor<string, []>>>((("x", {{"b", [1, 4]}})))] {
                tensor<fp16, [4]> w = const()[name = tensor<string, []>("w"), val = tensor<fp16, [4]>(BLOBFILE(path = tensor<string, []>("@model_path/weights/weight.bin"), offset = tensor<uint64, []>(64)))];
                tensor<fp16, [1, 10]> c = mul(x = a, y = a)[name = tensor<string, []>("c")];
                tensor<fp16, [1, 4]> d = add(x = b, y = w)[name = tensor<string, []>("d")];
            } -> (c, d);
    }
    """
private let newer = """
    program(1.3)
    [buildInfo = dict<string, string>({{"coremlc-component-MIL", "3510.2.1"}, {"coremltools-version", "9.0"}})]
    {
        func main<ios18>(tensor<fp16, [1, 2, 1, 3]> x, state<tensor<fp16, [2]>> s) {
            fp16 half = const()[name = string("half"), val = fp16(0x1p-1)];
            string kind = const()[name = string("kind"), val = string("fp32")];
            tensor<fp16, [2]> low = const()[val = tensor<fp16, [2]>([-0x1.388p+13, -inf])];
            tensor<fp16, [1, 2, 1, 3]> y = mul(x = x, y = half)[name = string("y")];
            tensor<fp32, [1, 2, 1, 3]> z = cast(dtype = kind, x = y)[name = string("z")];
        } -> (z, low);
    }
    """
private let short = """
    program(1.0) {
        // Everything that can be left out is left out.
        func main(tensor<fp32, [2, 3]> a, tensor<int8, [3]> i) {
            p = softmax(x = a, axis = -1);
            q = add(x = p, y = [[1, 2.5, -3], [0.1, 1e3, 0x1p-149]]);
            r = gelu(x = q, mode = "TANH_APPROXIMATION");
            s = add(x = i, y = [1, 2, -128]);
            t = select(cond = [true, false, true], a = r, b = 7);
            u = leaky_relu(x = t)[alpha = 0.5];
        } -> (s, u);
    }
    """
/// An op stands in that takes any blocks: what is tested is their text.
private let nested = """
    program(1.0) {
        func main(tensor<fp32, [2]> a, bool go) {
            k = const()[val = tensor<fp32, []>(3)];
            y = identity(x = a)
            { inner = add(x = a, y = k); } -> (inner)
            (tensor<fp32, [2]> carried, int32 step) {
                inner = mul(x = carried, y = 4);
                deeper = identity(x = inner) { e = exp(x = inner); } -> (e) { } -> (k);
            } -> (deeper, step);
        } -> (y);
        func other<ios15>() { } -> ();
    }
    """

/// Lists of values, several outputs, many constants.
private let layers = """
    program(1.3) {
        func main<ios17>(tensor<fp16, [1, 4, 8, 8]> x, tensor<int32, [3]> rows) {
            tensor<fp16, [2, 4, 3, 3]> w = const()[val = tensor<fp16, [2, 4, 3, 3]>(BLOBFILE(path = string("@model_path/weights/weight.bin"), offset = uint64(64)))];
            c = conv(x = x, weight = w, bias = [0.5, -1], strides = [2, 1], pad_type = "custom", pad = [1, 1, 0, 0]);
            tensor<fp16, [1, 1, 4, 6]> s_0, tensor<fp16, [1, 1, 4, 6]> s_1 = split(x = c, num_splits = 2, axis = 1)[name = string("s")];
            j = concat(values = (s_1, s_0, c), axis = -3, interleave = false);
            r = reshape(x = j, shape = [2, -1, 6]);
            t = transpose(x = r, perm = [0, 2, 1]);
            m = matmul(x = r, y = t, transpose_y = false);
            n = layer_norm(x = m, axes = [-1], epsilon = 0.001);
            v = reduce_sum(x = n, axes = [1], keep_dims = false);
            b = slice_by_index(x = v, begin = [0, 2], end = [2, 8], stride = [1, 2]);
            g = gather(x = b, indices = rows, axis = 1);
        } -> (g, s_0);
    }
    """

private func blob(_ path: String, _ offset: Int, _ type: TensorType) throws -> Tensor {
    #expect(path == "@model_path/weights/weight.bin" && offset == 64)
    return Tensor((0..<type.count).map { Double($0 + 1) }, dtype: type.dtype, shape: type.shape)
}

private func parse(_ text: String) throws -> Program { try Program(text: text, blobs: blob) }

/// The message of the failure that reading the text ends with.
private func complaint(_ text: String) -> String {
    do {
        _ = try Program(text: text)
        return "none"
    } catch let failure as Failure {
        return failure.message
    } catch {
        return "\(error)"
    }
}

/// A function whose lines are given, the first of them line 2.
private func lines(_ lines: String...) -> String {
    "program(1.0) { func main<ios17>(tensor<fp32, [2]> a) {\n" + lines.joined(separator: "\n") + "\n} -> (a); }"
}

@Suite struct TextTests {
    @Test(arguments: [compiled, newer, short, nested, layers])
    func roundTrip(text: String) throws {
        let program = try parse(text)
        let printed = program.text
        let again = try Program(text: printed)
        #expect(again.text == printed)
        #expect(again.digest == program.digest)
    }

    @Test func compiledText() throws {
        let function = try parse(compiled).function()
        #expect(function.opset == "CoreML6")
        #expect(
            function.inputs.map { function[$0].type.description } == ["tensor<fp16, [1, 10]>", "tensor<fp16, [1, ?]>"])
        #expect(function.outputs.map { function[$0].name } == ["c", "d"])
        #expect(function.operations.map(\.op) == ["mul", "add"])
        #expect(function[function.operations[1]["y"]![0]].constant?.double(at: 3) == 4)
    }

    @Test func newerText() throws {
        let function = try parse(newer).function()
        #expect(function.opset == "CoreML8")
        #expect(function[function.inputs[1]].type == .state(TensorType(.float16, [2])))
        #expect(function[function.outputs[0]].type == .tensor(TensorType(.float32, [1, 2, 1, 3])))
        let low = try #require(function[function.outputs[1]].constant)
        #expect(low.double(at: 0) == -10000 && low.double(at: 1) == -.infinity)
    }

    @Test func literalsTakeTheirTypesFromTheRow() throws {
        let function = try parse(short).function()
        func constant(_ operation: Int, _ name: String) -> Tensor? {
            function.operations[operation][name].flatMap { function[$0[0]].constant }
        }
        #expect(constant(0, "axis")?.type == TensorType(.int32, []))
        #expect(constant(1, "y")?.array(of: Float.self) == [1, 2.5, -3, 0.1, 1000, 0x1p-149])
        #expect(constant(2, "mode")?.strings == ["TANH_APPROXIMATION"])
        #expect(constant(3, "y")?.array(of: Int8.self) == [1, 2, -128])
        #expect(constant(4, "cond")?.array(of: Bool.self) == [true, false, true])
        #expect(constant(4, "b")?.type == TensorType(.float32, []))
        #expect(constant(5, "alpha")?.double(at: 0) == 0.5)
        #expect(function[function.operations[0]["axis"]![0]].name == "p_axis_0")
    }

    @Test func listsAndSeveralOutputs() throws {
        let function = try parse(layers).function()
        #expect(function.operations[1].outputs.map { function[$0].name } == ["s_0", "s_1"])
        #expect(function.operations[2]["values"]?.map { function[$0].name } == ["s_1", "s_0", "c"])
        #expect(function[function.outputs[0]].type == .tensor(TensorType(.float16, [2, 3])))
        #expect(function.text.contains("concat(values = (s_1, s_0, c), axis = j_axis_0, interleave = j_interleave_0)"))
    }

    @Test func nestedBlocks() throws {
        let program = try parse(nested)
        let blocks = try program.function().operations[0].blocks
        #expect(blocks.count == 2)
        #expect(blocks[1].inputs.count == 2 && blocks[1].outputs.count == 2)
        #expect(blocks[1].operations[1].blocks.count == 2)
        #expect(program.functions.map(\.opset) == ["CoreML7", "CoreML5"])
        #expect(program.text.contains("} -> (deeper, step);"))
    }

    @Test func printedForm() throws {
        var function = Function(opset: "CoreML6")
        let a = function.input("a", .tensor(TensorType(.float16, [1, 2])))
        let two = function.constant(Tensor([2, 0.5], dtype: .float16, shape: [1, 2]), name: "two")
        let c = try function.append("mul", name: "c", ["x": [a], "y": [two]])
        function.block.outputs = c
        #expect(
            Program(functions: [function]).text == """
                program(1.3)
                {
                    func main<ios16>(tensor<fp16, [1, 2]> a) {
                            tensor<fp16, [1, 2]> two = const()[name = string("two"), val = tensor<fp16, [1, 2]>([[0x1p+1, 0x1p-1]])];
                            tensor<fp16, [1, 2]> c = mul(x = a, y = two)[name = string("c")];
                        } -> (c);
                }

                """)
        #expect(try Function(text: function.text).text == function.text)
    }

    // MARK: Constants

    /// Prints a tensor as a constant and reads it back.
    private func throughText(_ tensor: Tensor) throws -> Tensor {
        var function = Function()
        function.block.outputs = [function.constant(tensor, name: "k")]
        let text = function.text
        let read = try Function(text: text)
        #expect(read.text == text)
        return try #require(read[read.outputs[0]].constant)
    }

    /// A copy, taken while the tensor keeps its storage alive.
    private func bytes(_ tensor: Tensor) -> [UInt8] { withExtendedLifetime(tensor) { Array($0.bytes) } }

    @Test func everyHalfIsExact() throws {
        let tensor = Tensor((0...UInt16.max).map { Float16(bitPattern: $0) }, shape: [256, 256])
        #expect(try bytes(throughText(tensor)) == bytes(tensor))
    }

    @Test func floatsAreExact() throws {
        var random = SystemRandomNumberGenerator()
        var words: [UInt32] = [
            0, 0x8000_0000, 1, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, 0x7f7f_ffff,
        ]
        words += (0..<2000).map { _ in random.next() }
        let floats = Tensor(words.map(Float.init(bitPattern:)))
        #expect(try bytes(throughText(floats)) == bytes(floats))
        let doubles = Tensor(
            [0, 1 << 63, 1, 0x7ff8 << 48, 0x7ff0_0000_0000_0001].map(Double.init(bitPattern:))
                + (0..<2000).map { _ in Double(bitPattern: random.next()) })
        #expect(try bytes(throughText(doubles)) == bytes(doubles))
    }

    @Test func everyElementType() throws {
        func check(_ tensor: Tensor) throws {
            let read = try throughText(tensor)
            #expect(read.type == tensor.type)
            #expect(bytes(read) == bytes(tensor) && read.strings == tensor.strings)
        }
        try check(Tensor([true, false], shape: [1, 2, 1]))
        try check(Tensor([Int8.min, 0, Int8.max], shape: [3, 1]))
        try check(Tensor([UInt8.max, 0], shape: [2]))
        try check(Tensor([Int16.min, Int16.max]))
        try check(Tensor([UInt16.max]))
        try check(Tensor([Int32.min, Int32.max]))
        try check(Tensor([UInt32.max]))
        try check(Tensor([Int64.min, Int64.max]))
        try check(Tensor([UInt64.max], shape: []))
        try check(Tensor((0..<24).map(Float.init), shape: [2, 3, 1, 4]))
        try check(Tensor((0..<4).map(Float.init), shape: [1, 1, 1, 1, 1, 1, 1, 1, 2, 2]))
        try check(Tensor([Double](), shape: [2, 0, 3]))
        try check(Tensor([Bool](), shape: [0]))
        try check(Tensor(strings: ["", "\"quoted\" \\ `", "line\nnext\ttab\u{0}\u{7f}", "ä🐦\u{2028}"], shape: [2, 2]))
        try check(Tensor(strings: [], shape: [0]))
        for dtype in [DataType.complex64, .complex128] {
            let tensor = try Tensor(uninitialized: TensorType(dtype, [2]))
            let values = [1.5, -0.0, Double.nan, -Double.infinity]
            for (index, value) in values.enumerated() {
                if dtype == .complex64 {
                    tensor.pointer.storeBytes(of: Float(value), toByteOffset: index * 4, as: Float.self)
                } else {
                    tensor.pointer.storeBytes(of: value, toByteOffset: index * 8, as: Double.self)
                }
            }
            try check(tensor)
        }
    }

    @Test func numbersAreRoundedOnce() {
        // Just above halfway between two halves; rounding to Float first would land on the tie.
        #expect(DataType.float16.bits("0x1.002000000001p+0") == 0x3c01)
        #expect(DataType.float16.bits("0x1.002p+0") == 0x3c00)
        #expect(DataType.float16.bits("65504") == 0x7bff)
        #expect(DataType.float16.bits("65520") == nil)
        #expect(DataType.float32.bits("1e39") == nil)
        #expect(
            DataType.int8.bits("0x7f") == 127 && DataType.int8.bits("-0x80") == 0x80
                && DataType.int8.bits("0x80") == nil)
        #expect(DataType.int32.bits("0x-1") == nil && DataType.int32.bits("1.0") == nil)
    }

    @Test func largeConstantsGoToBlobs() throws {
        var function = Function()
        let small = function.constant(Tensor([Float](repeating: 1, count: 10)), name: "small")
        let large = function.constant(Tensor((0..<11).map(Float.init)), name: "large")
        function.block.outputs = [small, large]
        let program = Program(functions: [function])
        let text = program.text { $0.count == 11 ? ("@model_path/w \"1\".bin", 128) : nil }
        #expect(
            text.contains(
                #"tensor<fp32, [11]>(BLOBFILE(path = string("@model_path/w \"1\".bin"), offset = uint64(128)))"#))
        let read = try Program(text: text) { path, offset, type in
            #expect(path == "@model_path/w \"1\".bin" && offset == 128 && type == TensorType(.float32, [11]))
            return Tensor((0..<11).map(Float.init))
        }
        #expect(read.digest == program.digest)
        #expect(complaint(text).hasPrefix("line 5, column 97: The text refers to"))
    }

    // MARK: Names and types

    @Test func namesThatAreNoIdentifiers() throws {
        var function = Function(name: "my function", opset: "ios17")
        var values = [ValueID]()
        for name in [
            "input.1", "`", "a\\b\nc", "", "true", "nan", "tensor", "fp16", "const", "1x", "größe", "x", "x", "x_1",
        ] {
            values.append(function.input(name, .tensor(TensorType(.float32, [2, 1]))))
        }
        for value in values { try function.append("relu", name: "x", ["x": [value]]) }
        function.block.outputs = function.operations.flatMap(\.outputs) + values
        let text = Program(functions: [function], defaultFunction: "another").text
        let read = try Program(text: text)
        #expect(read.text == text)
        #expect(read.defaultFunction == "another")
        #expect(read.functions[0].name == "my function" && read.functions[0].opset == "ios17")
        let names = read.functions[0].inputs.map { read.functions[0][$0].name }
        #expect(
            Array(names.prefix(13)) == [
                "input.1", "`", "a\\b\nc", "value", "true", "nan", "tensor", "fp16", "const", "1x", "größe", "x", "x_1",
            ])
    }

    @Test func everyKindOfType() throws {
        let tensor = TensorType(.float32, [1, -1])
        var function = Function()
        let types: [ValueType] = [
            .tensor(tensor), .state(tensor), .tensor(TensorType(.bool, [])), .list(.tensor(tensor), length: 3),
            .list(.list(.tensor(tensor), length: nil), length: nil), .tuple([.tensor(tensor), .state(tensor)]),
            .tuple([]),
            .dictionary(key: .tensor(TensorType(.string, [])), value: .tuple([.tensor(tensor)])),
        ]
        for (index, type) in types.enumerated() { _ = function.input("v\(index)", type) }
        let read = try Function(text: function.text)
        #expect(read.inputs.map { read[$0].type } == types)
        #expect(read.text == function.text)
    }

    @Test func narrowIntegersAreReadAsBytes() throws {
        let function = try Function(
            text: "func f() { tensor<uint4, [2]> k = const()[val = tensor<uint4, [2]>([1, 15])]; } -> (k)")
        #expect(function[function.outputs[0]].constant?.array(of: UInt8.self) == [1, 15])
    }

    @Test func declaredTypesAreChecked() throws {
        #expect(
            complaint(lines("tensor<fp32, [3]> b = relu(x = a);"))
                == "line 2, column 19: The output 'b' is declared tensor<fp32, [3]> and is tensor<fp32, [2]>.")
        // Where sizes are not known before the run the text is believed.
        let text =
            "func f(tensor<fp32, [?]> a) { tensor<fp32, [7]> b = add(x = a, y = a); "
            + "tensor<fp32, [?]> c = relu(x = b); } -> (c)"
        let function = try Function(text: text)
        #expect(function.values[1].type == .tensor(TensorType(.float32, [7])))
        #expect(function.values[2].type == .tensor(TensorType(.float32, [-1])))
    }

    // MARK: Failures

    @Test func failuresNameTheirPlace() {
        #expect(complaint("") == "line 1, column 1: Found the end of the text where 'program' is expected.")
        #expect(complaint("program(1.0) }") == "line 1, column 14: Found '}' where '{' is expected.")
        #expect(
            complaint(lines("b = relu(x = a);", "  c = relu(x = bb);"))
                == "line 3, column 16: There is no value named 'bb' before this line.")
        #expect(
            complaint(lines("b = relu(x = a);", "b = relu(x = b);"))
                == "line 3, column 1: There is already a value named 'b'.")
        #expect(complaint(lines("b = frobnicate(x = a);")) == "line 2, column 5: There is no op 'frobnicate'.")
        #expect(
            complaint(lines("b = relu(y = a);")) == "line 2, column 10: The op 'relu' has no parameter 'y'; it has 'x'."
        )
        #expect(complaint(lines("b = relu();")).hasPrefix("line 2, column 5: op 'relu': The parameter 'x' is missing"))
        #expect(complaint(lines("b = relu(x = a, x = a);")) == "line 2, column 17: The parameter 'x' is given twice.")
        #expect(
            complaint(lines("b, c = relu(x = a);"))
                == "line 2, column 8: The op 'relu' gives 1 outputs here, and 2 are named.")
        #expect(
            complaint(lines("b = add(x = a, y = int8(128));"))
                == "line 2, column 25: Found '128' where an element of int8 is expected.")
        #expect(
            complaint(lines("b = softmax(x = a, axis = 1.5);"))
                == "line 2, column 27: Found '1.5' where an element of int32 is expected.")
        #expect(
            complaint(lines("b = softmax(x = a, axis = \"x\");"))
                .hasPrefix("line 2, column 27: Found '\"x\"' where 'axis' takes int8, uint8, "))
        #expect(
            complaint(lines("b = add(x = a, y = [[1, 2], [3]]);"))
                == "line 2, column 29: Found an element of shape [1] in a list of elements of shape [2].")
        #expect(
            complaint(lines("b = add(x = a, y = tensor<fp32, [3]>([1, 2]));"))
                == "line 2, column 38: Found 2 elements of shape [2] where tensor<fp32, [3]> is expected.")
        #expect(
            complaint(lines("b = gelu(x = a, mode = \"ö\\q\");"))
                .hasPrefix("line 2, column 26: Found a backslash before 'q'; known are \\n, "))
        #expect(
            complaint(lines("b = gelu(x = a, mode = \"…")).hasPrefix(
                "line 2, column 24: Found the end of the text inside the string"))
        #expect(
            complaint(lines("b = relu(x = a) # no")) == "line 2, column 17: Found '#' where no token starts with it.")
        #expect(
            complaint(lines("half<fp16> b = relu(x = a);")).hasPrefix("line 2, column 1: Found 'half<' where tensor"))
        #expect(
            complaint(lines("b = cast(x = a, dtype = \"fp16\");", "c = add(x = a, y = b);"))
                == "line 3, column 5: op 'add': x is fp32 and y is fp16; both must be of one type.")
    }

    @Test func hostileSizes() {
        #expect(
            complaint(lines("b = const()[val = tensor<fp32, [1099511627776]>([])];")).contains("larger than 64 GiB"))
        #expect(complaint(lines("b = const()[val = tensor<fp32, [1000000000]>([1])];")).contains("Found 1 elements"))
        #expect(
            complaint(lines("b = const()[val = tensor<fp32, [4611686018427387904, 4, 0]>([])];")).contains(
                "larger than"))
        #expect(
            complaint(lines("b = const()[val = tensor<fp32, [99999999999999999999]>([])];")).contains("where a size"))
        #expect(complaint(lines("b = const()[val = tensor<fp32, [?]>([])];")).contains("has a known shape"))
        let deep = 100_000
        #expect(complaint(lines("b = add(x = a, y = " + String(repeating: "[", count: deep))).contains("nested"))
        #expect(complaint(lines(String(repeating: "list<", count: deep))).contains("nested"))
        #expect(complaint(lines(String(repeating: "b = identity(x = a) {", count: deep))).contains("nested"))
        #expect(complaint("program(1.0) [a = " + String(repeating: "(", count: deep)).contains("end of the attributes"))
        let wide =
            "program(1.0) { func main(tensor<fp32, [34359738, 1]> a, tensor<fp32, [1, 34359738]> b) { "
            + "c = add(x = a, y = b); } -> (c); }"
        #expect(complaint(wide).contains("larger than 64 GiB"))
    }

    @Test func damagedTextNeverCrashes() {
        var state: UInt64 = 42
        func random(_ bound: Int) -> Int {
            // SplitMix64: the same sequence in every run.
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
            return Int((z ^ z >> 31) % UInt64(bound))
        }
        let pieces = [
            "(", ")", "[", "]", "{", "}", "<", ">", ",", "=", ";", "?", "->", "\"", "`", "\\", "0", "-1",
            "99999999999999999999",
            "nan(0x", "tensor<fp16, [", "a", "x", "val", "const()", "inf", "true", "\u{0}", "é", "//", "\n", "0x1p",
            "fp16(", "state<",
        ]
        let sources = [compiled, newer, short, nested, layers]
        var accepted = 0
        for round in 0..<4000 {
            var bytes = Array(sources[round % sources.count].utf8)
            for _ in 0...random(3) {
                let start = random(bytes.count)
                let end = min(bytes.count, start + random(8))
                switch random(4) {
                case 0: bytes.removeSubrange(start..<end)
                case 1: bytes.insert(contentsOf: pieces[random(pieces.count)].utf8, at: start)
                case 2: bytes.replaceSubrange(start..<end, with: pieces[random(pieces.count)].utf8)
                default: bytes.removeLast(random(bytes.count) / 4)
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            do {
                let program = try Program(text: text) { _, _, type in
                    guard type.byteCount < 1 << 20 else { throw Failure(.outOfMemory, "too large for this test") }
                    return try Tensor(uninitialized: type)
                }
                accepted += 1
                #expect(try Program(text: program.text).text == program.text)
            } catch let failure as Failure {
                #expect(failure.message.hasPrefix("line "))
            } catch {
                Issue.record(error)
            }
        }
        #expect(accepted > 100 && accepted < 3900)
    }

    // MARK: Digests

    private func hash(_ text: String) -> String {
        var sha = SHA256()
        var text = text
        text.withUTF8 { sha.update(UnsafeRawBufferPointer($0)) }
        return SHA256.hexadecimal(sha.finished())
    }

    /// The examples of FIPS 180-4.
    @Test func publishedHashes() {
        #expect(hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        #expect(
            hash(
                "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                    + "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu")
                == "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1")
        #expect(
            hash(String(repeating: "a", count: 1_000_000))
                == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func hashesDoNotDependOnPieces() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for count in 0...bytes.count {
            var whole = SHA256()
            bytes[..<count].withUnsafeBytes { whole.update($0) }
            var pieces = SHA256()
            for start in stride(from: 0, to: count, by: 37) {
                bytes[start..<min(start + 37, count)].withUnsafeBytes { pieces.update($0) }
            }
            #expect(whole.finished() == pieces.finished())
        }
    }

    @Test func digestsFollowTheMeaning() throws {
        func digest(_ text: String) throws -> String { try Function(text: text).digest }
        let one = try digest("func f(tensor<fp32, [2]> a) { b = exp(x = a); c = add(x = b, y = 1); } -> (c)")
        #expect(one.count == 64)
        #expect(
            try digest(
                "func f(tensor<fp32, [2]> a) { z = exp(x = a); k = const()[val = fp32(1)]; c = add(y = k, x = z); } "
                    + "-> (c)") == one)
        let others = [
            "func f(tensor<fp32, [2]> a) { b = exp(x = a); c = add(x = b, y = 2); } -> (c)",
            "func f(tensor<fp32, [2]> a) { b = exp(x = a); c = add(x = b, y = [1]); } -> (c)",
            "func f(tensor<fp32, [2]> a) { b = exp(x = a); c = add(x = a, y = 1); } -> (c)",
            "func f(tensor<fp32, [2]> a) { b = exp(x = a); d = add(x = b, y = 1); } -> (d)",
            "func f(tensor<fp32, [2]> e) { b = exp(x = e); c = add(x = b, y = 1); } -> (c)",
            "func f(tensor<fp32, [3]> a) { b = exp(x = a); c = add(x = b, y = 1); } -> (c)",
            "func g(tensor<fp32, [2]> a) { b = exp(x = a); c = add(x = b, y = 1); } -> (c)",
            "func f<ios15>(tensor<fp32, [2]> a) { b = exp(x = a); c = add(x = b, y = 1); } -> (c)",
        ]
        #expect(try Set(others.map(digest) + [one]).count == others.count + 1)
    }
}
