import MIL

/// Gives every intermediate buffer its place in one workspace: buffers that live at different times share bytes.
struct MemoryPlan {
    private(set) var offsets: [Int: Int] = [:]
    private(set) var byteCount = 0

    /// `steps` lists for each step the buffers it touches; `sizes` holds the planned buffers; `shared` pairs a result
    /// with an operand whose memory it may take.
    init(steps: [[Int]], sizes: [Int: Int], shared: [[(result: Int, operand: Int)]]) {
        var (first, last): ([Int: Int], [Int: Int]) = ([:], [:])
        for (index, touched) in steps.enumerated() {
            for buffer in touched where sizes[buffer] != nil {
                first[buffer] = first[buffer] ?? index
                last[buffer] = index
            }
        }
        // A result that starts where its operand ends joins the operand: one range of memory for both.
        var root: [Int: Int] = [:]
        func find(_ buffer: Int) -> Int {
            var buffer = buffer
            while let next = root[buffer] { buffer = next }
            return buffer
        }
        for (index, pairs) in shared.enumerated() {
            for (result, operand) in pairs {
                let (a, b) = (find(operand), find(result))
                guard a != b, let size = sizes[result], sizes[operand] == size, first[result] == index,
                    first[b] == index,
                    last[a] == index, sizes[a] == size
                else { continue }
                root[b] = a
                last[a] = last[b]
            }
        }
        // Largest first, each at the lowest place that is free during its life.
        struct Placed {
            let start: Int, end: Int, first: Int, last: Int
        }
        var placed: [Placed] = []
        let order = sizes.keys.filter { root[$0] == nil && first[$0] != nil }.sorted {
            (sizes[$0]!, -first[$0]!, -$0) > (sizes[$1]!, -first[$1]!, -$1)
        }
        for buffer in order {
            let size = (max(sizes[buffer]!, 1) + 63) & ~63
            let (from, to) = (first[buffer]!, last[buffer]!)
            var offset = 0
            for other in placed.filter({ $0.first <= to && $0.last >= from }).sorted(by: { $0.start < $1.start }) {
                if other.start - offset >= size { break }
                offset = max(offset, other.end)
            }
            placed.append(Placed(start: offset, end: offset + size, first: from, last: to))
            offsets[buffer] = offset
            byteCount = max(byteCount, offset + size)
        }
        for buffer in sizes.keys where root[buffer] != nil { offsets[buffer] = offsets[find(buffer)] }
    }
}
