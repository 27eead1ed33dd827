import MIL

/// Where a function spells attention out as matmul, scale, mask, softmax, matmul, as converters do. The last matmul computes
/// the whole group; the scores never reach memory.
struct AttentionGroups {
    struct Group {
        var query: ValueID
        var key: ValueID
        /// Whether the key arrives as […, size, sources].
        var keyIsTransposed: Bool
        var queryIsTransposed: Bool
        var scale: Float
        var mask: ValueID?
        var ops: [String]
    }

    /// By the index of the last matmul.
    private(set) var groups: [Int: Group] = [:]
    /// Operations that a group computes, without the last matmul.
    private(set) var inner: Set<Int> = []

    init(_ function: Function, readers: [[Int]], producer: [Int?], outputs: Set<ValueID>, rounded: Set<ValueID>) {
        // The operation that makes a value, where only one operation reads it.
        func maker(_ id: ValueID) -> (index: Int, call: Call)? {
            guard readers[Int(id.index)].count == 1, !outputs.contains(id), !rounded.contains(id),
                let index = producer[Int(id.index)], let call = try? Call(function.operations[index], in: function)
            else { return nil }
            return (index, call)
        }
        for (last, operation) in function.operations.enumerated() where operation.op == "matmul" {
            guard let call = try? Call(operation, in: function), (try? call.bool("transpose_x")) == false,
                let x = try? call.id("x"), let y = try? call.id("y"), x != y, let rank = try? call.type("x").rank,
                rank >= 3,
                (try? call.type("y").rank) == rank, let softmax = maker(x), softmax.call.op.name == "softmax",
                (try? softmax.call.axis(rank: rank)) == rank - 1
            else { continue }
            var group = Group(
                query: x, key: x, keyIsTransposed: true, queryIsTransposed: false, scale: 1, mask: nil,
                ops: ["matmul", "softmax"])
            var chain = [softmax.index]
            guard var step = (try? softmax.call.id("x")).flatMap(maker) else { continue }
            let scores = try? softmax.call.type("x")
            if step.call.op.name == "add", let a = try? step.call.id("x"), let b = try? step.call.id("y"), a != b {
                // The mask is the operand that is not the product.
                let candidates = [(a, b), (b, a)].compactMap { product, mask in
                    maker(product).flatMap {
                        ["matmul", "mul", "real_div"].contains($0.call.op.name) ? ($0, product, mask) : nil
                    }
                }
                guard
                    let (made, product, mask) = candidates.first(where: { (try? function.tensorType($0.1)) == scores })
                else { continue }
                _ = product
                group.mask = mask
                group.ops.append("add")
                chain.append(step.index)
                step = made
            }
            if step.call.op.name == "mul" || step.call.op.name == "real_div" {
                let divides = step.call.op.name == "real_div"
                guard let x = try? step.call.id("x"), let y = try? step.call.id("y") else { continue }
                let pairs = divides ? [(x, y)] : [(x, y), (y, x)]
                guard let (product, factor) = pairs.first(where: { function[$0.1].constant?.count == 1 }),
                    let number = function[factor].constant?.double(at: 0), let made = maker(product)
                else { continue }
                group.scale = Float(divides ? 1 / number : number)
                group.ops.append(step.call.op.name)
                chain.append(step.index)
                step = made
            }
            guard step.call.op.name == "matmul", let query = try? step.call.id("x"), let key = try? step.call.id("y"),
                let queryType = try? step.call.type("x"), let keyType = try? step.call.type("y"),
                queryType.rank == rank,
                keyType.rank == rank, queryType.shape.dropLast(2) == keyType.shape.dropLast(2),
                let valueType = try? call.type("y"), valueType.shape.dropLast(2) == keyType.shape.dropLast(2),
                let transposeX = try? step.call.bool("transpose_x"),
                let transposeY = try? step.call.bool("transpose_y"),
                function[key].constant == nil, function[y].constant == nil
            else { continue }
            chain.append(step.index)
            group.ops.append("matmul")
            (group.query, group.key) = (query, key)
            (group.queryIsTransposed, group.keyIsTransposed) = (transposeX, !transposeY)
            // What another group computes as a whole cannot be a part of this one.
            guard chain.allSatisfy({ groups[$0] == nil && !inner.contains($0) }) else { continue }
            groups[last] = group
            inner.formUnion(chain)
        }
    }
}
