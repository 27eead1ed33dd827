// Matrix products.

extension OpTable {
    static let linearOps: [Op] = [
        Op(
            "linear", .linear, "x · weightᵀ + bias along the last axis",
            [
                .tensor("x", "[…, inputs]: the values"), .tensor("weight", "[outputs, inputs]: the matrix"),
                .tensor("bias", "[outputs]: added to each result; nothing where left out", optional: true),
            ],
            expansion: { call, function in
                let name = call.name
                let dtype = try call.type("x").dtype
                let weight = try function.cast(call.id("weight"), to: dtype, name: "\(name)_weight")
                let flip = function.constant(Tensor(true), name: "\(name)_transpose_y")
                // matmul takes a vector on the left as one row.
                let product = try function.one(
                    "matmul", name: "\(name)_matmul", ["x": [call.id("x")], "y": [weight], "transpose_y": [flip]])
                guard call.has("bias") else { return [product] }
                let bias = try function.cast(call.id("bias"), to: dtype, name: "\(name)_bias")
                return [try function.one("add", name: "\(name)_add", ["x": [product], "y": [bias]])]
            }
        ) { call in
            let x = try call.type("x", rank: 1...Int.max)
            let weight = try call.type("weight", rank: 2...2)
            guard let inputs = x.shape.last, weight.shape[1] == inputs else {
                throw Failure(
                    .invalidArgument,
                    "The last axis of x, shape \(x.shape), does not fit the weight, shape \(weight.shape); "
                        + "it must have length \(weight.shape[1]).")
            }
            try call.expect("bias", [weight.shape[0]])
            return [TensorType(x.dtype, x.shape.dropLast() + [weight.shape[0]])]
        },
        Op(
            "matmul", .linear, "the matrix product of the last two axes; the axes before them broadcast",
            [
                .tensor("x", "[…, rows, inner] or [inner]: left matrices", .numbersAndComplex),
                .tensor("y", "[…, inner, columns] or [inner]: right matrices", .numbersAndComplex),
                .bool("transpose_x", "swap the last two axes of x first", default: false),
                .bool("transpose_y", "swap the last two axes of y first", default: false),
            ],
            shared: ["x", "y"]
        ) { call in
            let (x, y) = (try call.type("x"), try call.type("y"))
            let shape = try MatmulShape(
                x.shape, y.shape, transposeX: try call.bool("transpose_x"), transposeY: try call.bool("transpose_y"))
            // One constant operand takes the type of the other: weights may be stored shorter.
            let xIsConstant = call.constant("x") != nil
            guard x.dtype == y.dtype || xIsConstant != (call.constant("y") != nil) else {
                throw Failure(.wrongType, "x is \(x.dtype.name) and y is \(y.dtype.name); both must be of one type.")
            }
            return [TensorType(xIsConstant ? y.dtype : x.dtype, shape.result)]
        },
        Op(
            "einsum", .linear, "the sum of products that the equation names, such as `nchw,nwhu->nchu`",
            [
                .list("values", "two tensors", .numbersAndComplex),
                .text("equation", "one letter for each axis of the two operands, then those of the result"),
            ],
            shared: ["values"], expansion: einsum
        ) { call in
            let types = try call.types("values")
            let equation = try Einsum(call.text("equation"), types.map(\.shape))
            guard types[0].dtype == types[1].dtype else {
                throw Failure(
                    .wrongType,
                    "The operands are \(types[0].dtype.name) and \(types[1].dtype.name); both must be of one type.")
            }
            return [TensorType(types[0].dtype, equation.result.map { equation.sizes[$0] ?? 1 })]
        },
    ]

    /// Brings both operands to […shared, kept, summed] and […shared, summed, kept], multiplies, and puts the axes in order.
    private static func einsum(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let name = call.name
        let equation = try Einsum(call.text("equation"), call.types("values").map(\.shape))
        let result = Set(equation.result)
        let operands = equation.operands.map(Set.init)
        let shared = equation.result.filter { operands[0].contains($0) && operands[1].contains($0) }
        let summed = equation.operands[0].filter { operands[1].contains($0) && !result.contains($0) }

        func prepare(_ side: Int) throws -> (value: ValueID, kept: [Character]) {
            var letters = equation.operands[side]
            var x = call.ids("values")[side]
            // Letters of one operand only that the result lacks are summed at once.
            let alone = letters.indices.filter {
                !result.contains(letters[$0]) && !operands[1 - side].contains(letters[$0])
            }
            if !alone.isEmpty {
                let axes = function.ints(alone, name: "\(name)_axes_\(side)")
                x = try function.one("reduce_sum", name: "\(name)_sum_\(side)", ["x": [x], "axes": [axes]])
                letters = letters.indices.filter { !alone.contains($0) }.map { letters[$0] }
            }
            let kept = equation.result.filter { letters.contains($0) && !shared.contains($0) }
            let order = side == 0 ? shared + kept + summed : shared + summed + kept
            let permutation = order.compactMap { letter in letters.firstIndex(of: letter) }
            x = try function.transpose(x, permutation, name: "\(name)_\(side)")
            let shape = try function.tensorType(x).shape
            let width = try kept.map { equation.sizes[$0] ?? 1 }.product()
            let depth = try summed.map { equation.sizes[$0] ?? 1 }.product()
            x = try function.reshape(
                x, Array(shape.prefix(shared.count)) + (side == 0 ? [width, depth] : [depth, width]),
                name: "\(name)_\(side)")
            return (x, kept)
        }

        let left = try prepare(0)
        let right = try prepare(1)
        let product = try function.one("matmul", name: "\(name)_matmul", ["x": [left.value], "y": [right.value]])
        let order = shared + left.kept + right.kept
        let spread = try function.reshape(product, order.map { equation.sizes[$0] ?? 1 }, name: "\(name)_spread")
        return [
            try function.transpose(
                spread, equation.result.compactMap { order.firstIndex(of: $0) }, name: "\(name)_order")
        ]
    }
}

/// The sizes of a matrix product after its transpositions.
public struct MatmulShape: Sendable, Hashable {
    /// The axes in front, broadcast.
    public let batch: [Int]
    public let rows: Int
    public let inner: Int
    public let columns: Int
    /// The shape of the result: […batch, rows, columns], without rows where x is a vector, without columns where y is.
    public let result: [Int]

    public init(_ x: [Int], _ y: [Int], transposeX: Bool = false, transposeY: Bool = false) throws {
        guard x.count >= 1, y.count >= 1 else {
            throw Failure(
                .invalidArgument, "x has rank \(x.count) and y has rank \(y.count); they must have at least 1.")
        }
        for (name, shape, isTransposed) in [("x", x, transposeX), ("y", y, transposeY)]
        where shape.count < 2 && isTransposed {
            throw Failure(.invalidArgument, "\(name) has rank 1 and cannot be transposed; it must have rank 2 or more.")
        }
        var left = x.count == 1 ? [1] + x : x
        var right = y.count == 1 ? y + [1] : y
        if transposeX { left.swapAt(left.count - 1, left.count - 2) }
        if transposeY { right.swapAt(right.count - 1, right.count - 2) }
        rows = left[left.count - 2]
        inner = left[left.count - 1]
        columns = right[right.count - 1]
        guard right[right.count - 2] == inner else {
            throw Failure(
                .invalidArgument,
                "Shapes \(x) and \(y) do not multiply: \(inner) columns on the left meet \(right[right.count - 2]) rows on the right."
            )
        }
        batch = try broadcast(Array(left.dropLast(2)), Array(right.dropLast(2)))
        result = batch + (x.count == 1 ? [] : [rows]) + (y.count == 1 ? [] : [columns])
    }
}

/// An einsum equation read and held against the shapes of its two operands.
public struct Einsum: Sendable, Hashable {
    /// The letters of each operand and of the result.
    public let operands: [[Character]]
    public let result: [Character]
    /// The length of each letter's axis.
    public let sizes: [Character: Int]

    public init(_ equation: String, _ shapes: [[Int]]) throws {
        func wrong(_ why: String) -> Failure {
            Failure(.invalidArgument, "The equation '\(equation)' does not fit: \(why)")
        }
        let sides = equation.filter { $0 != " " }.split(separator: "->", omittingEmptySubsequences: false)
        guard sides.count == 2 else { throw wrong("it must have one `->`, before the result.") }
        let operands = sides[0].split(separator: ",", omittingEmptySubsequences: false).map(Array.init)
        let result = Array(sides[1])
        guard operands.count == 2, shapes.count == 2 else {
            throw wrong("it must have two operands, and two values must be given, not \(shapes.count).")
        }
        var sizes: [Character: Int] = [:]
        for (letters, shape) in zip(operands, shapes) {
            guard letters.count == shape.count, letters.allSatisfy(\.isLetter), Set(letters).count == letters.count
            else {
                throw wrong("'\(String(letters))' must be \(shape.count) different letters for the shape \(shape).")
            }
            for (letter, size) in zip(letters, shape) {
                let other = sizes[letter] ?? size
                guard other == size || ((other == 1 || size == 1) && result.contains(letter)) else {
                    throw wrong("'\(letter)' stands for \(other) and for \(size) elements; both must be equal.")
                }
                sizes[letter] = other == 1 ? size : other
            }
        }
        guard Set(result).count == result.count, result.allSatisfy({ sizes[$0] != nil }) else {
            throw wrong("each letter of the result must stand once, and in an operand.")
        }
        self.operands = operands
        self.result = result
        self.sizes = sizes
    }
}
