import CKernels
import MIL

/// Which elementwise operations run together as one tape. A group is named by its last operation, the root; an inner
/// operation is read by its group only, with results of the root's shape, so that nothing is computed twice.
struct ElementwiseGroups {
    /// The root of each elementwise operation's group, by operation index.
    private var root: [Int?]
    /// Operations of a group in order, the root last.
    private(set) var members: [Int: [Int]] = [:]

    init(_ function: Function, readers: [[Int]], outputs: Set<ValueID>, except: Set<Int>, rounded: Set<ValueID>) {
        // Instructions and unshared inputs that an operation may need, by a safe estimate.
        func cost(_ operation: Operation) -> (instructions: Int, inputs: Int) {
            let hasChannels = ["batch_norm", "prelu", "softplus_parametric"].contains(operation.op)
            return ((rounded.contains(operation.outputs[0]) ? 1 : 0) + (hasChannels ? 8 : 4), hasChannels ? 4 : 0)
        }
        // A narrow integer is cut to its width only when it is stored, so it has to be stored.
        func isNarrow(_ id: ValueID) -> Bool {
            guard let dtype = function[id].type.tensor?.dtype else { return true }
            return dtype.isInteger && dtype.size < 4
        }
        var costs: [Int: (instructions: Int, inputs: Int)] = [:]
        var root = [Int?](repeating: nil, count: function.operations.count)
        var leaves: [Int: Set<ValueID>] = [:]
        for (index, operation) in function.operations.enumerated().reversed()
        where Tape.cells[operation.op] != nil && !except.contains(index)
            && !TypedLoop.wants(operation, in: function)
        {
            let id = operation.outputs[0]
            root[index] = index
            let inputs = Set(operation.inputs.filter { function[$0].type.tensor?.dtype != .string })
            let candidates = Set(readers[Int(id.index)].map { root[$0] })
            if !outputs.contains(id), !isNarrow(id), candidates.count == 1,
                case .some(.some(let candidate)) = candidates.first,
                function[function.operations[candidate].outputs[0]].type.tensor?.shape
                    == function[id].type.tensor?.shape
            {
                // A tape has a limited number of registers.
                let merged = leaves[candidate, default: []].subtracting([id]).union(inputs)
                let own = cost(operation)
                let sum = (costs[candidate]!.instructions + own.instructions, costs[candidate]!.inputs + own.inputs)
                if merged.count + sum.1 <= Int(MK_TAPE_INPUTS), sum.0 <= Int(MK_TAPE_INSTRUCTIONS) {
                    costs[candidate] = sum
                    root[index] = candidate
                    leaves[candidate] = merged
                    members[candidate]!.append(index)
                    continue
                }
            }
            leaves[index] = inputs
            members[index] = [index]
            costs[index] = cost(operation)
        }
        for key in members.keys { members[key]!.sort() }
        self.root = root
    }

    /// Whether an operation is computed by the group of a later one.
    func isInner(_ index: Int) -> Bool { root[index].map { $0 != index } ?? false }

    /// Takes an operation out of its group, because another kernel computes it.
    mutating func remove(_ index: Int) {
        guard let key = root[index] else { return }
        root[index] = nil
        members[key]?.removeAll { $0 == index }
    }
}
